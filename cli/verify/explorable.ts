import { EpgenError } from '../../generator/errors.js';
import type { Spec } from '../../generator/spec.js';

/** Of all ranks. With more, the orders of two calls are too many for any budget. */
const MAX_CHANNELS = 8;

/** @throws EpgenError EPGEN_ARGUMENT when a spec has too many orders to try them all. */
export function checkExplorable({ name, ranks, channels }: Spec): void {
  const { count } = channels.memory;
  if (ranks * count <= MAX_CHANNELS) return;
  throw new EpgenError(
    `Expected at most ${MAX_CHANNELS} channels of all ranks for --explore but ${name} has ${ranks * count}`,
    {
      code: 'EPGEN_ARGUMENT',
      hint: 'Explore a spec with --ranks 2 --channels 2 instead, or verify without --explore.',
    },
  );
}
