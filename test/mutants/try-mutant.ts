import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Finding, runVerifier, type VerifierRun } from '../../cli/verify/run-verifier.js';
import { buildVerifier } from '../../generator/build-verifier.js';
import type { FileSet } from '../../generator/file-set.js';
import { cacheFolder, packageRoot } from '../../generator/paths.js';
import { parseSpec, type Spec } from '../../generator/spec.js';
import { isExpected } from './expected.js';
import type { Mutant } from './mutant.js';
import { markedEdits, type Planted, plant, withoutMarks, withReports } from './plant.js';
import { mutantSpecs } from './specs.js';

/** How far a mutant is looked for. */
export interface Limits {
  readonly schedules: number;
  readonly seconds: number;
}

export const DEFAULT_LIMITS: Limits = { schedules: 2000, seconds: 60 };

export type Verdict = 'killed' | 'equivalent' | 'SURVIVOR' | 'FAILED';

/** What became of a mutant. */
export interface Outcome {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  /** Detectors that found anything, in the order of their first findings. */
  readonly foundBy: readonly string[];
  /** Of the schedule that killed it. */
  readonly seed?: number;
  /** Schedules until then, or in all. */
  readonly schedules: number;
  readonly finding?: Finding;
  /** Other findings, for who wants to know why it lives. */
  readonly others: readonly Finding[];
  /** What went wrong. */
  readonly problem?: string;
}

export interface Built {
  readonly mutant: Mutant;
  readonly path: string;
  readonly planted: Planted;
  readonly reports: string;
  /** Of the same text without the mutant. */
  readonly unmutated: string;
}

/** The spec that a mutant is planted in. */
export function specOf({ spec = 'small' }: Mutant): Spec {
  return parseSpec(mutantSpecs[spec], spec);
}

/** Compiles the verifiers with and without a mutant. Throws where the mutant changes nothing. */
export async function buildMutant(mutant: Mutant): Promise<Built> {
  const { edits, given = [] } = mutant;
  const spec = specOf(mutant);
  const base = plant(spec, given);
  const planted = plant(spec, [...edits, ...given]);
  if (withoutMarks(planted) === withoutMarks(base))
    throw new Error('Nothing that is compiled changes');
  const folder = join(cacheFolder(packageRoot()), 'mutants', mutant.id);
  const reports = join(folder, 'reports');
  const unmutated = await build(spec, base, join(folder, 'given'));
  const path = await build(spec, withReports(planted, reports), join(folder, 'overlay'));
  return { mutant, path, planted, reports, unmutated };
}

async function build(spec: Spec, { files, overlay }: Planted, folder: string): Promise<string> {
  await writeFolder(folder, overlay);
  const { path } = await buildVerifier({ spec, files, overlay: folder });
  return path;
}

async function writeFolder(folder: string, files: FileSet): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, text] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

/** Runs schedules until the expected detector fires, and then that one again, with and without the mutant. */
export async function runMutant(built: Built, limits = DEFAULT_LIMITS): Promise<Outcome> {
  const { mutant, path, unmutated } = built;
  await forgetReached(built);
  const { wanted, findings, schedules } = await run(built, path, {
    seeds: [1, limits.schedules + 1],
    timeLimit: limits.seconds,
  });
  const outcome = {
    mutant,
    schedules,
    foundBy: [...new Set(findings.map(({ detector }) => detector))],
    others: findings.filter((finding) => finding !== wanted),
    ...(wanted && { seed: wanted.seed, finding: wanted }),
  };
  const failed = (problem: string): Outcome => ({ ...outcome, verdict: 'FAILED', problem });

  if (wanted) {
    const seeds = [wanted.seed, wanted.seed + 1] as const;
    await forgetReached(built);
    const again = await run(built, path, { seeds });
    if (again.wanted?.message !== wanted.message) return failed(`seed ${seeds[0]} does not replay`);
    const clean = await run(built, unmutated, { seeds });
    const stray = mutant.given ? clean.wanted : clean.findings[0];
    if (stray) return failed(`found without the mutant: ${stray.message}`);
  } else if (findings.length > 0) {
    return failed('found, but not by whom and where the table says');
  }
  const missed = missedEdits(built);
  if (missed.length > 0) return failed(`edits ${missed.join(', ')} are not executed`);
  if (wanted) return { ...outcome, verdict: 'killed' };
  return { ...outcome, verdict: 'equivalent' in mutant.expected ? 'equivalent' : 'SURVIVOR' };
}

/** Forgets which edits have been executed. */
async function forgetReached({ reports }: Built): Promise<void> {
  await rm(reports, { recursive: true, force: true });
  await mkdir(reports, { recursive: true });
}

function missedEdits({ mutant, reports }: Built): number[] {
  return markedEdits(mutant.edits).filter((i) => !existsSync(join(reports, `reached-${i}`)));
}

interface Search {
  readonly wanted: Finding | undefined;
  readonly findings: readonly Finding[];
  readonly schedules: number;
}

/** Runs a verifier until it finds what the mutant is expected to be found by. */
async function run(
  { mutant, planted }: Built,
  path: string,
  options: Pick<VerifierRun, 'seeds' | 'timeLimit'>,
): Promise<Search> {
  const stop = new AbortController();
  const findings: Finding[] = [];
  let wanted: Finding | undefined;
  const summary = await runVerifier(
    path,
    { ...options, ...mutant.hints, signal: stop.signal },
    (event) => {
      if (event.type !== 'finding' || wanted) return;
      findings.push(event);
      if (!isExpected(event, mutant.expected, planted)) return;
      wanted = event;
      stop.abort();
    },
  );
  const schedules = wanted ? wanted.seed - options.seeds[0] + 1 : summary.schedules;
  return { wanted, findings, schedules };
}
