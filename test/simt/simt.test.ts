// Compiles the emulator with the cases of this folder, runs them, and shows each as a test.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Trace } from '../../cli/diagram/trace.js';
import { kindsOf, parseTrace } from '../support/trace.js';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const native = fileURLToPath(new URL('../../native/', import.meta.url));
const flags = [
  '-std=c++20',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-ffp-contract=off',
  '-DEPGEN_CPU',
];

const caseFiles = readdirSync(here).filter((file) => file.endsWith('.cpp'));
const caseNames = caseFiles.flatMap((file) =>
  [...readFileSync(join(here, file), 'utf8').matchAll(/^CASE\("(.*)"\) \{$/gm)].map((m) => m[1]!),
);

/** The C++ sources below a folder. */
async function sourcesOf(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true });
  return files
    .filter((file) => file.endsWith('.cpp'))
    .sort()
    .map((file) => join(folder, file));
}

/** One object for many sources: their headers take most of the time. */
async function compile(sources: string[], output: string, ...more: string[]): Promise<string> {
  const unit = output.replace(/o$/, 'cpp');
  await writeFile(unit, sources.map((file) => `#include "${file}"\n`).join(''));
  await run('g++', [...flags, ...more, `-I${native}`, `-I${here}`, '-c', unit, '-o', output]);
  return output;
}

interface Outcome {
  readonly lines: readonly string[];
  /** Traces that cases wrote, by the names of their files. */
  readonly traces: ReadonlyMap<string, string>;
}

async function runCases(): Promise<Outcome> {
  const workDir = await mkdtemp(join(tmpdir(), 'epgen-simt-'));
  try {
    const emulator = await sourcesOf(join(native, 'simt'));
    emulator.push(join(native, 'verify/explorer.cpp'));
    const cases = await sourcesOf(here);
    // Kernels whose plain accesses are announced too; as in a verifier, nothing else is instrumented.
    const isRaw = (file: string) => file.endsWith('_raw.cpp');
    const objects = await Promise.all([
      compile(emulator, join(workDir, 'emulator.o')),
      compile(
        cases.filter((file) => !isRaw(file)),
        join(workDir, 'cases.o'),
      ),
      compile(cases.filter(isRaw), join(workDir, 'raw.o'), '-fsanitize=thread'),
    ]);
    const program = join(workDir, 'cases');
    await run('g++', ['-o', program, ...objects, '-l:libboost_context.a', '-lpthread']);
    // A failing case makes the exit code 1; the lines say which one.
    const { stdout } = await run(program, { cwd: workDir }).catch(
      (error: { stdout: string }) => error,
    );
    const names = (await readdir(workDir)).filter((name) => name.endsWith('.json'));
    const traces = names.map((name) => [name, readFileSync(join(workDir, name), 'utf8')] as const);
    return { lines: stdout.split('\n').filter((line) => line !== ''), traces: new Map(traces) };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

describe('emulator', () => {
  let lines: readonly string[] = [];
  let traces: ReadonlyMap<string, string> = new Map();

  beforeAll(async () => {
    ({ lines, traces } = await runCases());
    for (const line of lines.filter((text) => text.startsWith('note '))) console.log(line.slice(5));
  });

  test.each(caseNames)('%s', (name) => {
    const line = lines.find((text) => text === `ok ${name}` || text.startsWith(`FAIL ${name}: `));
    expect(line).toBe(`ok ${name}`);
  });

  const traceOf = (name: string): Trace => parseTrace(traces.get(`trace-${name}.json`)!);

  test.each(['done', 'deadlock', 'fault', 'race', 'full', 'killed', 'open', 'same'])(
    'the trace of the case "%s" is well formed',
    (name) => void traceOf(name),
  );

  test('a trace has every kind of event, with what it is about', () => {
    const { traceEvents, otherData } = traceOf('done');
    expect([...kindsOf({ traceEvents })].sort()).toEqual([
      'acquire',
      'barrier',
      'block',
      'bulk copy',
      'fence',
      'flow',
      'kernel',
      'mbarrier arrival',
      'mbarrier phase',
      'mbarrier wait',
      'rmw',
      'store',
      'task',
      'wait',
    ]);
    expect(otherData).toMatchObject({ spec: 'a "quoted" name\n', leftOut: 0 });
    const find = (cat: string) => traceEvents.find((event) => event.cat === cat)?.args;
    expect(find('store')).toMatchObject({
      object: 'args.control_of(1).word',
      value: '0x7',
      home: 1,
    });
    expect(find('acquire')).toMatchObject({ rank: 1, file: 'trace.cpp', order: 'acquire' });
    expect(find('acquire')?.from).toHaveLength(2);
    expect(find('bulk copy')).toMatchObject({ rank: 0, object: 'stage.bytes' });
    expect(find('task')).toMatchObject({ bytes: 512, region: 'window' });
  });

  test('a trace of a checked run tells of stores on their way, and when the sides of a race were', () => {
    const { traceEvents } = traceOf('race');
    expect(kindsOf({ traceEvents })).toContain('store on its way');
    const race = traceEvents.find(({ cat }) => cat === 'race')!;
    const [first, second] = race.args!.places!;
    expect(first).toMatchObject({ what: 'bulk_store', file: 'trace.cpp', rank: 0 });
    expect(second).toMatchObject({ what: 'ld', rank: 1 });
    const copy = traceEvents.findLast(
      ({ ph, args }) => ph === 'b' && args?.block === first!.block && args.line === first!.line,
    )!;
    expect(first!.ts).toBe(copy.ts);
    expect(second!.ts).toBeLessThanOrEqual(race.ts!);
    expect(second!.ts).toBeGreaterThan(first!.ts!);
  });

  test('a fault and a deadlock say who and where', () => {
    const find = (name: string) => traceOf(name).traceEvents.find(({ cat }) => cat === 'fault')!;
    expect(find('fault').args).toMatchObject({ rank: 1, file: 'trace.cpp' });
    expect(find('deadlock').args?.places).toMatchObject([
      { rank: 1, block: 0, file: 'trace.cpp' },
      { rank: 1, block: 1 },
    ]);
  });

  test('a full trace counts what it left out', () => {
    const { traceEvents, otherData } = traceOf('full');
    expect(otherData!.leftOut).toBeGreaterThan(10);
    expect(traceEvents.find(({ cat }) => cat === 'trace')?.name).toContain('after 4000 bytes');
  });
});
