import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EpgenArgumentError, type Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { expectExchange, windowBases } from '../support/exchange.js';
import { dispatchInputs } from '../support/routing.js';
import { kindsOf, parseTrace } from '../support/trace.js';

const shape = { ranks: 2, hidden: 64, experts: 4, topk: 2 };
let built: Built;
let folder: string;

beforeAll(async () => {
  built = await buildSpec({ ...shape, ht: { maxTokensPerRank: 8 } });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'epgen-trace-'));
  process.env.EPGEN_TRACE = join(folder, 'run.json');
});
afterEach(async () => {
  delete process.env.EPGEN_TRACE;
  await rm(folder, { recursive: true, force: true });
});

async function exchange(group: Group): Promise<void> {
  const inputs = dispatchInputs({ ...shape, seed: 1, numTokens: [8, 5], pattern: 'distinct' });
  await expectExchange(built, group, windowBases(group), inputs, { seed: 1 });
}

const read = async (name = 'run.json') => parseTrace(await readFile(join(folder, name), 'utf8'));

test('EPGEN_TRACE writes what a group’s kernels do', async () => {
  {
    await using group = await built.open({ seed: 3 });
    await exchange(group);
  }
  const trace = await read();
  expect([...kindsOf(trace)].sort()).toEqual([
    'acquire',
    'barrier',
    'block',
    'bulk copy',
    'fence',
    'flow',
    'kernel',
    'load',
    'mbarrier arrival',
    'mbarrier phase',
    'mbarrier wait',
    'rmw',
    'store',
    'task',
    'wait',
  ]);
  const names = new Set(trace.traceEvents.map(({ name }) => name));
  for (const name of [
    'dispatch_kernel',
    'combine_kernel',
    'bulk_load',
    'bulk_store',
    'sync_block',
  ]) {
    expect(names).toContain(name);
  }
  const first = trace.traceEvents.find(({ cat }) => cat === 'acquire')!;
  expect(first.args).toMatchObject({ file: expect.stringMatching(/\.cu/), order: 'acquire' });
  expect(trace.otherData).toMatchObject({ spec: built.spec.name, seed: '3', leftOut: 0 });
});

test('every group of a process has a file of its own, also one after the other', async () => {
  {
    await using first = await built.open();
    await using second = await built.open();
    await Promise.all([exchange(first), exchange(second)]);
  }
  await (await built.open()).dispose();
  expect((await readdir(folder)).sort()).toEqual(['run-2.json', 'run-3.json', 'run.json']);
  for (const name of ['run.json', 'run-2.json']) {
    expect((await read(name)).traceEvents.length).toBeGreaterThan(100);
  }
});

test('a file of an earlier process is replaced', async () => {
  const code = `
    const module_ = { exports: {} };
    process.dlopen(module_, process.argv[1]);
    module_.exports.openGroup({ seed: 1n, deadlineMs: 1000, firstDeadlineMs: 1000 });
    process.kill(process.pid, 'SIGKILL');
  `;
  for (let process_ = 0; process_ < 2; process_++) {
    spawnSync(process.execPath, ['-e', code, built.addonPath]);
    await read();
  }
  expect(await readdir(folder)).toEqual(['run.json']);
});

test('a group that is disposed while its kernels wait leaves a complete file', async () => {
  const group = await built.open();
  const [input] = dispatchInputs({ ...shape, seed: 1, numTokens: [4, 4], pattern: 'distinct' });
  const rank = group.ranks[0]!;
  const alone = rank.dispatch({
    x: rank.tensor('bf16', [4, 64], new Float32Array(4 * 64)),
    topkIdx: rank.tensor('i64', [4, 2], input!.topkIdx),
    topkWeights: rank.tensor('f32', [4, 2], new Float32Array(8)),
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await Promise.allSettled([alone, group.dispose()]);
  expect(kindsOf(await read())).toContain('wait');
});

test('a file that cannot be written is refused when the group is opened', async () => {
  for (const path of [join(folder, 'no', 'folder.json'), folder]) {
    process.env.EPGEN_TRACE = path;
    const failure = await built.open().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EpgenArgumentError);
    expect((failure as Error).message).toMatch(
      `Expected EPGEN_TRACE to name a file that can be written but received "${path}": `,
    );
  }
});

test('an empty EPGEN_TRACE writes nothing', async () => {
  process.env.EPGEN_TRACE = '';
  await using group = await built.open();
  await exchange(group);
  expect(await readdir(folder)).toEqual([]);
});
