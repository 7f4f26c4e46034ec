import { availableParallelism } from 'node:os';
import type { FindingEvent, Progress } from './run-verifier.js';

type Seeds = readonly [first: number, end: number];

/** What all processes have done together so far. */
export interface Tally {
  readonly schedules: number;
  readonly distinct: number;
  readonly findings: readonly FindingEvent[];
}

export interface Ended<Last> {
  /** Of each process. */
  readonly endings: readonly Last[];
  /** By seed. A cause that several processes found is here once. */
  readonly findings: readonly FindingEvent[];
}

/** Runs verifiers on all cores, each with its share of the seeds. */
export async function runParallel<Last extends { readonly type: string }>(
  seeds: Seeds,
  runOne: (seeds: Seeds, onEvent: (event: Progress | FindingEvent | Last) => void) => Promise<Last>,
  onProgress: (tally: Tally) => void,
): Promise<Ended<Last>> {
  const shares = shareSeeds(seeds, availableParallelism());
  const counts = shares.map(() => ({ schedules: 0, distinct: 0 }));
  const findings = new Map<string, FindingEvent>();
  const endings = await Promise.all(
    shares.map((share, i) =>
      runOne(share, (event) => {
        if (isFinding(event)) {
          const key = `${event.detector} ${event.key}`;
          const known = findings.get(key);
          if (!known || event.seed < known.seed) findings.set(key, event);
        } else if (isCount(event)) {
          counts[i] = { schedules: event.schedules, distinct: event.distinct };
        }
        onProgress({
          schedules: sum(counts, 'schedules'),
          distinct: sum(counts, 'distinct'),
          findings: [...findings.values()],
        });
      }),
    ),
  );
  return { endings, findings: [...findings.values()].sort((a, b) => a.seed - b.seed) };
}

export function sum<Key extends string>(
  all: readonly Readonly<Record<Key, number>>[],
  key: Key,
): number {
  return all.reduce((total, one) => total + one[key], 0);
}

type Event = { readonly type: string };
const isFinding = (event: Event): event is FindingEvent => event.type === 'finding';
/** Progress, and a summary too. */
const isCount = (event: Event): event is Progress => 'schedules' in event && 'distinct' in event;

function shareSeeds([first, end]: Seeds, numShares: number): readonly Seeds[] {
  const count = Math.min(numShares, Math.max(1, end - first));
  const cut = (i: number) => first + Math.floor(((end - first) * i) / count);
  return Array.from({ length: count }, (_, i) => [cut(i), cut(i + 1)] as const);
}
