import { runProgram } from './run-program.js';
import type { FindingEvent, Progress } from './run-verifier.js';

/** What a verifier program is told that tries every order of small sequences of calls. */
export interface ExplorationRun {
  /** Of the sequences: from the first on, up to but without the second. */
  readonly seeds: readonly [first: number, end: number];
  readonly calls: number;
  /** No run starts after so many findings. */
  readonly stopAfter?: number;
  /** No run starts after so many seconds. */
  readonly timeLimit?: number | undefined;
  /** No run of a sequence starts after so many. */
  readonly maxExecutions?: number;
  /** A file for the trace of run `maxExecutions`. */
  readonly trace?: string;
  /** Ends it after the run under way. */
  readonly signal?: AbortSignal;
}

export interface Exploration {
  readonly type: 'exploration';
  /** Begun. */
  readonly sequences: number;
  /** Of which no order is left. */
  readonly finishedSequences: number;
  /** Orders that differ in more than the order of operations that commute. */
  readonly classes: number;
  readonly executions: number;
  /** On words that threads share, in the longest run. */
  readonly operations: number;
  /** Whether every sequence is. */
  readonly finished: boolean;
  readonly seconds: number;
  readonly findings: number;
}

/**
 * Runs a program of {@link buildVerifier} through every order of each sequence; progress counts runs and classes.
 * @throws EpgenError EPGEN_INTERNAL when it ends without a word of its own.
 */
export async function runExploration(
  path: string,
  { signal, ...run }: ExplorationRun,
  onEvent: (event: Progress | FindingEvent | Exploration) => void = () => undefined,
): Promise<Exploration> {
  const { last, schedules, distinct, findings, seconds } = await runProgram<Exploration>(
    path,
    explorationArgs(run),
    { onEvent, signal },
  );
  if (last) return last;
  const runs = { classes: distinct, executions: schedules + 1, operations: 0 };
  const sequences = { sequences: 1, finishedSequences: 0, finished: false };
  return { type: 'exploration', ...sequences, ...runs, seconds, findings };
}

function explorationArgs({ seeds, calls, ...run }: ExplorationRun): string[] {
  const options = {
    '--seeds': seeds.join(':'),
    '--calls': calls,
    '--stop-after': run.stopAfter,
    '--time-limit': run.timeLimit,
    '--max-executions': run.maxExecutions,
    '--trace': run.trace,
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return ['--explore', ...given.flatMap(([name, value]) => [name, String(value)])];
}
