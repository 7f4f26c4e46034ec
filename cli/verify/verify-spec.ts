import type { Output } from '../output.js';
import type { SelectedSpec } from '../select-specs.js';
import { grouped, tableLines } from '../table.js';
import { countsText } from './progress-bar.js';
import { makeReplayable, printFindings, type ReplayableFinding } from './replayable.js';
import { runParallel, sum } from './run-parallel.js';
import { type RunContext, runSpec, type Surroundings } from './run-spec.js';
import { type PolicyName, runVerifier, type Summary } from './run-verifier.js';

export interface Settings {
  /** From the first on, up to but without the second. */
  readonly seeds: readonly [first: number, end: number];
  readonly policy: PolicyName;
  readonly calls: number;
  /** Most tokens of a rank's dispatch; undefined: few enough for the size of a row. */
  readonly tokens: number | undefined;
  /** Seconds. */
  readonly timeLimit: number | undefined;
  /** Folder for diagrams and traces. */
  readonly out: string;
}

/** Of each process: what is wrong in general need not be told of every line. */
const MAX_FINDINGS = 8;

/** One spec's part of the record for machines. */
export interface Result {
  readonly name: string;
  readonly source: string;
  readonly seeds: readonly [number, number];
  readonly policy: PolicyName;
  readonly calls: number;
  readonly schedules: number;
  readonly distinct: number;
  readonly steps: number;
  readonly seconds: number;
  readonly processes: number;
  readonly maxRssBytes: number;
  readonly failed: number;
  /** Stopped by a signal: what was seen until then. */
  readonly interrupted: boolean;
  readonly findings: readonly ReplayableFinding[];
}

/** Compiles a spec's verifier, runs it on all cores, and prints what it found. */
export async function verifySpec(
  selected: SelectedSpec,
  settings: Settings,
  surroundings: Surroundings,
): Promise<Result> {
  const { spec, source } = selected;
  const { seeds, policy, calls, tokens: maxTokens, out } = settings;
  const { path, ran, interrupted } = await runSpec(spec, surroundings, (program, context) =>
    runSchedules(program, settings, context),
  );
  const findings = await makeReplayable(ran.findings, {
    selected,
    flags: ({ seed, policy }) =>
      `--seed ${seed} --policy ${policy} --calls ${calls}${maxTokens ? ` --tokens ${maxTokens}` : ''}`,
    trace: ({ seed }, trace) =>
      runVerifier(path, { seeds: [seed, seed + 1], policy, calls, maxTokens, trace }),
    // Who interrupts doesn't want to wait for more.
    out: interrupted ? undefined : out,
  });
  const totals = totalOf(ran.endings);
  const result = {
    ...{ name: spec.name, source, seeds, policy, calls },
    ...{ ...totals, interrupted, findings },
  };
  print(result, surroundings.output);
  return result;
}

function runSchedules(path: string, settings: Settings, { signal, follow }: RunContext) {
  const { seeds, policy, calls, tokens: maxTokens, timeLimit } = settings;
  const start = performance.now();
  const run = { policy, calls, maxTokens, timeLimit, stopAfter: MAX_FINDINGS, signal };
  return runParallel<Summary>(
    seeds,
    (share, onEvent) => runVerifier(path, { ...run, seeds: share }, onEvent),
    follow(
      ({ schedules, findings }) => countsText(schedules, findings.length),
      ({ schedules }) => {
        const ofTime = timeLimit ? (performance.now() - start) / 1000 / timeLimit : 0;
        return Math.max(schedules / (seeds[1] - seeds[0]), ofTime);
      },
    ),
  );
}

function totalOf(endings: readonly Summary[]) {
  return {
    schedules: sum(endings, 'schedules'),
    distinct: sum(endings, 'distinct'),
    steps: sum(endings, 'steps'),
    seconds: Math.max(...endings.map(({ seconds }) => seconds)),
    maxRssBytes: sum(endings, 'maxRssBytes'),
    failed: sum(endings, 'failed'),
    processes: endings.length,
  };
}

function print(result: Result, output: Output): void {
  const { name, schedules, distinct, steps, seconds, interrupted, findings } = result;
  printFindings(findings, output);
  const end = interrupted ? ', then interrupted' : '';
  output.line(`${name}: ${countsText(schedules, findings.length)}${end}`);
  const millions = (steps / 1e6).toFixed(1);
  output.line(`  ${grouped(distinct)} distinct, ${millions} M steps, ${seconds.toFixed(1)} s`);
}

/** A line of each spec, and one of all. */
export function summaryLines(results: readonly Result[]): string[] {
  const row = (name: string, of: readonly Result[]) => [
    name,
    sum(of, 'schedules'),
    of.reduce((count, { findings }) => count + findings.length, 0),
    sum(of, 'seconds').toFixed(1),
  ];
  return tableLines(
    [
      { title: 'spec' },
      { title: 'schedules', align: 'right' },
      { title: 'findings', align: 'right' },
      { title: 'seconds', align: 'right' },
    ],
    [...results.map((result) => row(result.name, [result])), row('total', results)],
  );
}
