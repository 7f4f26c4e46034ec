// Plants each bug of the table and sees who finds it:
//   npm run mutants [-- --only TEXT]... [--jobs N] [--json FILE] [--schedules N] [--seconds N]
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { Mutant } from './mutant.js';
import { isBad, reportLines } from './report.js';
import { mutants } from './table/index.js';
import { type Built, buildMutant, type Outcome, runMutant } from './try-mutant.js';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    jobs: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'string' },
    schedules: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
  },
});
const limits = { schedules: Number(options.schedules), seconds: Number(options.seconds) };
const chosen = mutants.filter(({ id }) => options.only?.some((text) => id.includes(text)) ?? true);
if (chosen.length === 0) throw new Error(`No mutant has ${options.only?.join(' or ')} in its name`);

const start = performance.now();
const outcomes = new Map<Mutant, Outcome>();
const { workers, enter } = pool(Number(options.jobs));
for (const mutant of bySpec(chosen)) {
  // Builds share a tree, so that there is one at a time; runs go on meanwhile.
  const built = await buildMutant(mutant).catch((error: unknown) => String(error));
  await enter(async () => {
    const outcome = typeof built === 'string' ? unbuilt(mutant, built) : await tried(mutant, built);
    outcomes.set(mutant, outcome);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    process.stderr.write(
      `${seconds} s  ${outcomes.size}/${chosen.length}  ${mutant.id}: ${outcome.verdict}\n`,
    );
  });
}
await Promise.all(workers);
const ordered = chosen.map((mutant) => outcomes.get(mutant)!);
process.stdout.write(
  `${reportLines(ordered).join('\n')}, ${((performance.now() - start) / 1000).toFixed(0)} s\n`,
);
if (options.json) await writeFile(options.json, `${JSON.stringify(ordered, null, 2)}\n`);
process.exitCode = ordered.some(isBad) ? 1 : 0;

/** Mutants of one spec and file after each other: a build compiles what differs from the one before. */
function bySpec(all: readonly Mutant[]): readonly Mutant[] {
  const keyOf = ({ spec = 'small', given, edits }: Mutant) =>
    [spec, given?.[0]?.file, edits[0]?.file].join(' ');
  return [...all].sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
}

async function tried(mutant: Mutant, built: Built): Promise<Outcome> {
  return runMutant(built, limits).catch((error: unknown) => unbuilt(mutant, String(error)));
}

function unbuilt(mutant: Mutant, problem: string): Outcome {
  return { mutant, verdict: 'FAILED', foundBy: [], schedules: 0, others: [], problem };
}

/** Runs at most so many tasks at a time; `enter` waits for a place. */
function pool(size: number): {
  readonly workers: Set<Promise<void>>;
  enter(task: () => Promise<void>): Promise<void>;
} {
  const workers = new Set<Promise<void>>();
  return {
    workers,
    async enter(task) {
      while (workers.size >= size) await Promise.race(workers);
      const worker = task().finally(() => workers.delete(worker));
      workers.add(worker);
    },
  };
}
