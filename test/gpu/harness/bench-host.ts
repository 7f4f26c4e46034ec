import type { SpecInput } from '../../../generator/spec.js';
import type { Built } from '../../support/built.js';
import type { PackedHost } from './packed-host.js';

/** What `main` of test/bench/packed.ts gets. */
export interface BenchHost extends PackedHost {
  /** Where results go. */
  readonly out: string;
  /** The packed build of a spec; throws when this machine has fewer GPUs than it has ranks. */
  buildSpec(input: SpecInput): Promise<Built>;
}

/** What test/bench/packed.ts exports. */
export interface Bench {
  /** Specs to pack. */
  readonly specs: readonly SpecInput[];
  /** Other files to pack, as paths in the repository; they keep them. */
  readonly extras?: readonly string[];
  main(host: BenchHost, argv: readonly string[]): Promise<void>;
}
