import { runProgram } from './run-program.js';

export const POLICIES = ['uniform', 'priority', 'frozen-rank', 'starved-block', 'mixed'] as const;
export type PolicyName = (typeof POLICIES)[number];

/** What a verifier program is told. */
export interface VerifierRun {
  /** From the first on, up to but without the second. */
  readonly seeds: readonly [first: number, end: number];
  /** Default: `mixed`, where the policy follows from the seed. */
  readonly policy?: PolicyName;
  readonly calls?: number;
  /** Of a rank's dispatch. Default: few enough for the size of a row. */
  readonly maxTokens?: number;
  /** Resident blocks of a rank. Default: follows from the seed. */
  readonly resident?: number;
  /** Whether unordered accesses are looked for. Default: true. */
  readonly check?: boolean;
  /** Whether stores become visible late. Default: true. */
  readonly model?: boolean;
  /** No schedule starts after so many findings. */
  readonly stopAfter?: number;
  /** No schedule starts after so many seconds. */
  readonly timeLimit?: number;
  /** A file for the trace of the last schedule. */
  readonly trace?: string;
  /** Ends the run after the schedules under way. */
  readonly signal?: AbortSignal;
}

export type Detector = 'race' | 'data' | 'fault' | 'timeout' | 'raw';

/** A thread, or a rank's stream, at a line of a kernel. */
export interface FindingPlace {
  readonly file: string;
  readonly line: number;
  readonly what: string;
  readonly object: string;
  readonly rank: number;
  readonly block: number;
  readonly warp: number;
  readonly lane: number;
  readonly proxy: string;
  readonly agent: string;
}

export interface Finding {
  readonly detector: Detector;
  readonly seed: number;
  readonly policy: PolicyName | 'explore';
  /** Of an exploration: which of the sequence's runs, from 1. */
  readonly execution?: number;
  readonly message: string;
  readonly places: readonly FindingPlace[];
  readonly remedy: string;
}

export interface FindingEvent extends Finding {
  readonly type: 'finding';
  /** Equal for findings of one cause, as far as one can tell. */
  readonly key: string;
}

export interface Progress {
  readonly type: 'progress';
  readonly schedules: number;
  readonly distinct: number;
}

export interface Summary {
  readonly type: 'summary';
  readonly schedules: number;
  /** Schedules that picked threads in an order of their own. */
  readonly distinct: number;
  /** Decisions of the emulator's scheduler. */
  readonly steps: number;
  readonly seconds: number;
  readonly maxRssBytes: number;
  /** Causes, as many as there are findings. */
  readonly findings: number;
  /** Schedules with a finding, also one that an earlier schedule had. */
  readonly failed: number;
}

export type VerifierEvent = Progress | FindingEvent | Summary;

/**
 * Runs a program of {@link buildVerifier} and tells `onEvent` what it prints.
 * @throws EpgenError EPGEN_INTERNAL when it ends without a word of its own.
 */
export async function runVerifier(
  path: string,
  { signal, ...run }: VerifierRun,
  onEvent: (event: VerifierEvent) => void = () => undefined,
): Promise<Summary> {
  const { last, schedules, distinct, findings, seconds } = await runProgram<Summary>(
    path,
    verifierArgs(run),
    { onEvent, signal },
  );
  if (last) return last;
  const counts = { schedules: schedules + 1, distinct, steps: 0, seconds, maxRssBytes: 0 };
  return { type: 'summary', ...counts, findings, failed: findings };
}

function verifierArgs({ seeds, check = true, model = true, ...run }: VerifierRun): string[] {
  const options = {
    '--seeds': seeds.join(':'),
    '--policy': run.policy,
    '--calls': run.calls,
    '--max-tokens': run.maxTokens,
    '--resident': run.resident,
    '--stop-after': run.stopAfter,
    '--time-limit': run.timeLimit,
    '--trace': run.trace,
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return [
    ...given.flatMap(([name, value]) => [name, String(value)]),
    ...(check ? [] : ['--no-check']),
    ...(model ? [] : ['--no-model']),
  ];
}
