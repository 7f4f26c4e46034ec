import { availableParallelism } from 'node:os';
import { type FindingEvent, runVerifier, type Summary, type VerifierRun } from './run-verifier.js';

/** What all processes have done together so far. */
export interface Tally {
  readonly schedules: number;
  readonly distinct: number;
  readonly findings: readonly FindingEvent[];
}

/** Runs a verifier on all cores, each with its share of the seeds. A cause that several find is told once. */
export async function runParallel(
  path: string,
  run: VerifierRun,
  onProgress: (tally: Tally) => void,
): Promise<Summary & { readonly all: readonly FindingEvent[]; readonly processes: number }> {
  const shares = shareSeeds(run.seeds, availableParallelism());
  const counts = shares.map(() => ({ schedules: 0, distinct: 0 }));
  const findings = new Map<string, FindingEvent>();
  const summaries = await Promise.all(
    shares.map((seeds, i) =>
      runVerifier(path, { ...run, seeds }, (event) => {
        if (event.type === 'finding') {
          const key = `${event.detector} ${event.key}`;
          const known = findings.get(key);
          if (!known || event.seed < known.seed) findings.set(key, event);
        } else {
          counts[i] = { schedules: event.schedules, distinct: event.distinct };
        }
        onProgress({
          schedules: sum(counts.map((count) => count.schedules)),
          distinct: sum(counts.map((count) => count.distinct)),
          findings: [...findings.values()],
        });
      }),
    ),
  );
  const total = (field: Exclude<keyof Summary, 'type'>) => sum(summaries.map((one) => one[field]));
  return {
    type: 'summary',
    schedules: total('schedules'),
    distinct: total('distinct'),
    steps: total('steps'),
    seconds: Math.max(...summaries.map(({ seconds }) => seconds)),
    maxRssBytes: total('maxRssBytes'),
    findings: findings.size,
    failed: total('failed'),
    all: [...findings.values()].sort((a, b) => a.seed - b.seed),
    processes: shares.length,
  };
}

function shareSeeds(
  [first, end]: readonly [number, number],
  numShares: number,
): readonly (readonly [number, number])[] {
  const count = Math.min(numShares, Math.max(1, end - first));
  const cut = (i: number) => first + Math.floor(((end - first) * i) / count);
  return Array.from({ length: count }, (_, i) => [cut(i), cut(i + 1)] as const);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
