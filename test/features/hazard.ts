import type { Proof } from './feature.js';

/** Something that has gone wrong in such libraries, and the tests of ours that try it. */
export interface Hazard {
  readonly name: string;
  /** What is tried. */
  readonly tried: string;
  readonly tests: readonly [Proof, ...Proof[]];
}
