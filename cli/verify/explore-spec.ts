import type { Output } from '../output.js';
import type { SelectedSpec } from '../select-specs.js';
import { grouped, tableLines } from '../table.js';
import { findingsText } from './progress-bar.js';
import { makeReplayable, printFindings, type ReplayableFinding } from './replayable.js';
import { type Exploration, runExploration } from './run-exploration.js';
import { runParallel, sum } from './run-parallel.js';
import { type RunContext, runSpec, type Surroundings } from './run-spec.js';
import type { Settings } from './verify-spec.js';

export type ExploreSettings = Omit<Settings, 'policy' | 'tokens'>;

/** One spec's part of the record for machines. */
export interface Explored extends Omit<Exploration, 'type' | 'findings'> {
  readonly name: string;
  readonly source: string;
  readonly seeds: readonly [number, number];
  readonly calls: number;
  readonly processes: number;
  readonly interrupted: boolean;
  readonly findings: readonly ReplayableFinding[];
}

/** Compiles a spec's verifier, tries every order of small sequences until one is wrong, and prints what it found. */
export async function exploreSpec(
  selected: SelectedSpec,
  settings: ExploreSettings,
  surroundings: Surroundings,
): Promise<Explored> {
  const { spec, source } = selected;
  const { seeds, calls, out } = settings;
  const { path, ran, interrupted } = await runSpec(spec, surroundings, (program, context) =>
    exploreAll(program, settings, context),
  );
  const findings = await makeReplayable(ran.findings, {
    selected,
    flags: ({ seed }) => `--explore --seed ${seed} --calls ${calls}`,
    trace: ({ seed, execution = 1 }, trace) =>
      runExploration(path, { seeds: [seed, seed + 1], calls, maxExecutions: execution, trace }),
    out: interrupted ? undefined : out,
  });
  const explored = {
    ...{ name: spec.name, source, seeds, calls },
    ...{ ...totalOf(ran.endings), interrupted, findings },
  };
  print(explored, surroundings.output);
  return explored;
}

function exploreAll(path: string, settings: ExploreSettings, { signal, follow }: RunContext) {
  const { seeds, calls, timeLimit } = settings;
  const start = performance.now();
  // The first order that is wrong ends it, in all processes.
  const enough = new AbortController();
  const run = { calls, timeLimit, stopAfter: 1, signal: AbortSignal.any([signal, enough.signal]) };
  return runParallel<Exploration>(
    seeds,
    (share, onEvent) =>
      runExploration(path, { ...run, seeds: share }, (event) => {
        if (event.type === 'finding') enough.abort();
        onEvent(event);
      }),
    follow(
      ({ distinct, findings }) => `${grouped(distinct)} orders, ${findingsText(findings.length)}`,
      () => (timeLimit ? (performance.now() - start) / 1000 / timeLimit : 0),
    ),
  );
}

function totalOf(endings: readonly Exploration[]) {
  return {
    sequences: sum(endings, 'sequences'),
    finishedSequences: sum(endings, 'finishedSequences'),
    classes: sum(endings, 'classes'),
    executions: sum(endings, 'executions'),
    operations: Math.max(...endings.map(({ operations }) => operations)),
    finished: endings.every(({ finished }) => finished),
    seconds: Math.max(...endings.map(({ seconds }) => seconds)),
    processes: endings.length,
  };
}

function print(explored: Explored, output: Output): void {
  const { name, calls, finished, interrupted, findings, seconds, ...counts } = explored;
  printFindings(findings, output);
  const end = interrupted ? ', then interrupted' : '';
  const found = findingsText(findings.length);
  const extent = findings.length > 0 ? 'which ends the exploration' : extentText(explored);
  output.line(`${name}: ${found}, ${extent}${end}`);
  const orders = counts.classes === 1 ? '1 order' : `${grouped(counts.classes)} orders`;
  const operations = `up to ${grouped(counts.operations)} operations on shared words`;
  output.line(`  ${calls} calls each, ${orders} of ${operations}, ${seconds.toFixed(1)} s`);
  if (finished || interrupted || findings.length > 0) return;
  output.line('  The time was up: a longer --budget, fewer --calls or --channels reach the end.');
}

/** `in every order of 7 of 100 sequences`. */
function extentText({ seeds, finishedSequences, finished }: Explored): string {
  const count = seeds[1] - seeds[0];
  const all = count === 1 ? '1 sequence' : `${grouped(count)} sequences`;
  return `in every order of ${finished ? all : `${grouped(finishedSequences)} of ${all}`}`;
}

/** A line of each spec, and one of all. */
export function exploredLines(explored: readonly Explored[]): string[] {
  const row = (name: string, of: readonly Explored[]) => [
    name,
    `${sum(of, 'finishedSequences')} of ${of.reduce((count, { seeds }) => count + seeds[1] - seeds[0], 0)}`,
    sum(of, 'classes'),
    of.reduce((count, { findings }) => count + findings.length, 0),
    sum(of, 'seconds').toFixed(1),
  ];
  return tableLines(
    [
      { title: 'spec' },
      { title: 'sequences', align: 'right' },
      { title: 'orders', align: 'right' },
      { title: 'findings', align: 'right' },
      { title: 'seconds', align: 'right' },
    ],
    [...explored.map((one) => row(one.name, [one])), row('total', explored)],
  );
}
