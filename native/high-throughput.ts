import { EpgenUnsupportedError } from './errors.js';
import type { GroupState } from './group-state.js';
import type {
  HandleLayout,
  HighThroughputSection,
  HighThroughputSizes,
  HighThroughputSpec,
  Region,
  Sizes,
  Spec,
} from './spec-types.js';

/** What a spec with high-throughput calls says about them, and where they have their memory. */
export interface HighThroughput extends HighThroughputSection {
  readonly handle: HandleLayout;
  readonly recvX: Region;
  readonly output: Region;
}

/** Whether a module has high-throughput calls. */
export function hasHighThroughput<M extends { readonly spec: Spec; readonly sizes: Sizes }>(
  module: M,
): module is M & { readonly spec: HighThroughputSpec; readonly sizes: HighThroughputSizes } {
  return module.spec.ht !== false;
}

/** Refuses a module without high-throughput calls; `method` is what needs them. */
export function highThroughputOf(
  { description }: Pick<GroupState, 'description'>,
  method = 'high-throughput calls',
): HighThroughput {
  const { spec, handle, sizes } = description;
  const { recvX, output } = sizes.regions;
  if (spec.ht && handle && recvX && output) return { ...spec.ht, handle, recvX, output };
  throw new EpgenUnsupportedError(
    `Expected a module with ${method} but ${spec.name} was built without`,
    { hint: 'Set ht in the spec and build again.' },
  );
}
