import type { ReuseAccess, ReuseRegion } from '../../generator/reuse.js';

/**
 * One atomic step of the protocol on one place (a word, a counter, a buffer). Contents are told
 * apart by version. `write` leaves a version, of which there are `parts`; `read` must find its
 * version whole; `wait` blocks until the word is there and reads it; `post` adds 1 to a counter;
 * `await` blocks until its sources have posted enough; `check` asks whether a rank has given up.
 */
export interface Step {
  readonly kind: 'write' | 'read' | 'wait' | 'post' | 'await' | 'check';
  readonly region: ReuseRegion | 'abort';
  readonly place: string;
  readonly access: ReuseAccess | 'kernel starts' | 'kernel succeeds';
  readonly version: number;
  /** Of a write: which part of the version, and of how many. */
  readonly part: number;
  readonly parts: number;
  /** Of a wait: the word orders nothing but itself. Of a write: nothing before it is released. */
  readonly relaxed: boolean;
  /** Whether copies of the async proxy do it. */
  readonly isAsync: boolean;
  /** Of a wait: a proxy fence follows, so that what it orders is ordered for the async proxy too. */
  readonly isFenced: boolean;
  /** Of an await: the count to reach. */
  readonly count: number;
  readonly rank: number;
  /** The call in the sequence, from 0. */
  readonly call: number;
  /** Number of the dispatch or combine whose contents these are, from 1. */
  readonly content: number;
}

/** Steps of one stage happen in any order, stages of a thread one after the other. */
export type Thread = readonly (readonly Step[])[];

/**
 * Threads of a phase run beside each other; the phases of a rank follow each other (its stream, and
 * tails of kernels).
 */
export type Phase = readonly Thread[];

export interface RankProgram {
  readonly phases: readonly Phase[];
}

export function describeStep(step: Step): string {
  return `rank ${step.rank}, call ${step.call}: ${step.access} (${step.place} = ${step.version})`;
}
