import type { Rule } from './rules.js';
import type { SpecName } from './specs.js';

/**
 * One change to a file under templates/ or native/device/, where `from` stands exactly once. `PLANTED()` in `to` marks
 * what must be executed.
 */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export function edit(file: string, from: string, to: string): Edit {
  return { file, from, to };
}

/**
 * One side of a race: text of the statement, or what a task of the stream does.
 */
export type Side = string;

/** What is to find the mutant. Anything else that finds it is a failure of the table or of the checker. */
export type Expected =
  /** Of a raw race, a side is an access that no primitive made. */
  | { readonly detector: 'race' | 'raw'; readonly between: readonly [Side, Side] }
  | { readonly detector: 'fault'; readonly at: string }
  | { readonly detector: 'data' | 'timeout' }
  | { readonly equivalent: string };

/** Options of the verifier that let a bug show sooner. */
export interface Hints {
  readonly policy?: 'uniform' | 'priority' | 'frozen-rank' | 'starved-block';
  /** Blocks of a rank that may be resident at a time. */
  readonly resident?: number;
  readonly calls?: number;
  readonly maxTokens?: number;
}

/** A bug that is planted on purpose, to see who finds it. */
export interface Mutant {
  readonly id: string;
  readonly rule: Rule;
  /** What is wrong now, in one sentence. */
  readonly plants: string;
  readonly edits: readonly Edit[];
  /** Edits of the build that it is compared with too: what makes the mutated lines matter. */
  readonly given?: readonly Edit[];
  /** Default: small. */
  readonly spec?: SpecName;
  readonly hints?: Hints;
  readonly expected: Expected;
}
