import { buildCommand } from '../../generator/build-command.js';
import { buildVerifier } from '../../generator/build-verifier.js';
import { generate } from '../../generator/generate.js';
import type { Context } from '../main.js';
import type { Output } from '../output.js';
import type { SelectedSpec } from '../select-specs.js';
import { grouped } from '../table.js';
import { findingLines } from './finding-lines.js';
import { countsText, type ProgressBar, progressBar } from './progress-bar.js';
import { runParallel } from './run-parallel.js';
import type { Finding, PolicyName } from './run-verifier.js';
import { writeTrace } from './write-trace.js';

export interface Settings {
  /** From the first on, up to but without the second. */
  readonly seeds: readonly [first: number, end: number];
  readonly policy: PolicyName;
  readonly calls: number;
  /** Seconds. */
  readonly timeLimit: number | undefined;
  /** Folder for diagrams and traces. */
  readonly out: string;
}

/** Of each process: what is wrong in general need not be told of every line. */
const MAX_FINDINGS = 8;
/** A diagram takes another run, and more of them tell little more. */
const MAX_DIAGRAMS = 3;

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

interface ReplayableFinding extends Finding {
  /** The command that shows it again. */
  readonly replay: string;
  /** Files. */
  readonly written: readonly string[];
}

/** Compiles a spec's verifier, runs it on all cores, and prints what it found. */
export async function verifySpec(
  selected: SelectedSpec,
  { out, ...run }: Settings,
  { output, onInterrupt }: Pick<Context, 'output' | 'onInterrupt'>,
): Promise<Result> {
  const { spec, source } = selected;
  const bar = output.live ? progressBar(spec.name) : undefined;
  const say = (text: string, done = 0) => {
    if (bar) bar.update(done, text);
    else output.line(`${spec.name}: ${text}`);
  };
  const { path } = await buildVerifier({
    spec,
    files: generate(spec),
    onProgress: ({ text, done, total }) =>
      say(done === undefined ? text : `[${done}/${total}] ${text}`),
  });
  const stop = new AbortController();
  onInterrupt(() => stop.abort());
  const {
    all,
    type: _,
    findings: __,
    ...totals
  } = await runParallel(
    path,
    { ...run, stopAfter: MAX_FINDINGS, signal: stop.signal },
    follow(run, bar, say),
  );
  onInterrupt(undefined);
  bar?.clear();
  const interrupted = stop.signal.aborted;
  const findings: ReplayableFinding[] = [];
  const drawn = new Set<number>();
  for (const { type: _type, key: _key, ...finding } of all) {
    // One of a schedule, and none where nobody wants to wait for more.
    const isDrawn = !interrupted && !drawn.has(finding.seed) && drawn.size < MAX_DIAGRAMS;
    const written = isDrawn
      ? await writeTrace(path, finding, { out, name: spec.name, calls: run.calls })
      : [];
    if (isDrawn) drawn.add(finding.seed);
    findings.push({ ...finding, replay: replayCommand(selected, finding, run), written });
  }
  const { seeds, policy, calls } = run;
  const { name } = spec;
  const result = { name, source, seeds, policy, calls, ...totals, interrupted, findings };
  print(result, output);
  return result;
}

const LINE_INTERVAL_MS = 5000;

/** Says how far a run is: often on a terminal, now and then elsewhere. */
function follow(
  { seeds, timeLimit }: Pick<Settings, 'seeds' | 'timeLimit'>,
  bar: ProgressBar | undefined,
  say: (text: string, done: number) => void,
): Parameters<typeof runParallel>[2] {
  const start = performance.now();
  let nextMs = start + LINE_INTERVAL_MS;
  return ({ schedules, findings }) => {
    const now = performance.now();
    if (!bar && now < nextMs) return;
    nextMs = now + LINE_INTERVAL_MS;
    const ofSeeds = schedules / (seeds[1] - seeds[0]);
    const ofTime = timeLimit === undefined ? 0 : (now - start) / 1000 / timeLimit;
    say(countsText(schedules, findings.length), Math.max(ofSeeds, ofTime));
  };
}

function print(result: Result, output: Output): void {
  const { name, schedules, distinct, steps, seconds, interrupted, findings } = result;
  for (const { replay, written, ...finding } of findings) {
    for (const line of findingLines(finding, { replay, written })) output.line(line);
    output.line();
  }
  const end = interrupted ? ', then interrupted' : '';
  output.line(`${name}: ${countsText(schedules, findings.length)}${end}`);
  const millions = (steps / 1e6).toFixed(1);
  output.line(`  ${grouped(distinct)} distinct, ${millions} M steps, ${seconds.toFixed(1)} s`);
}

/** The spec by its file, or by the flags that make it. */
function replayCommand(
  { spec, source }: SelectedSpec,
  { seed, policy }: Pick<Finding, 'seed' | 'policy'>,
  { calls }: Pick<Settings, 'calls'>,
): string {
  const isFile = !source.startsWith('command line');
  const head = isFile
    ? `epgen verify ${source}`
    : buildCommand(spec).replace('epgen build', 'epgen verify');
  return `${head} --seed ${seed} --policy ${policy} --calls ${calls}`;
}
