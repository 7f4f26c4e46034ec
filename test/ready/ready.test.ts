// Kernels that start on the rows of a dispatch before it has ended: on the emulator, in random schedules that a checker
// watches, in each placement. test/gpu/ready runs the same kernel on a GPU.
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { generate, generateTo } from '../../generator/generate.js';
import { parseSpec } from '../../generator/spec.js';
import { buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import { dispatchCall, payloadTensors } from '../support/exchange.js';

const run = promisify(execFile);
const isLong = Number(process.env.EPGEN_TEST_SCALE ?? 1) > 1;

const input = {
  ranks: 3,
  hidden: 64,
  experts: 6,
  topk: 2,
  ht: { cached: true, readyCounters: true, maxTokensPerRank: 24 },
} as const;

describe.concurrent.each(['compact', 'slotted'] as const)('%s rows', (placement) => {
  test('are all there for who waited for their source, and for nobody once the group gave up', async ({
    expect,
  }) => {
    const name = `ready_${placement}`;
    const channels = { memory: { count: 3, placement } };
    const dir = join(import.meta.dirname, '../.generated', name);
    await mkdir(dir, { recursive: true });
    await generateTo(dir, parseSpec({ ...input, name, channels }, 'test'), name, { force: true });
    const program = join(dir, 'follower');
    await run('bash', [join(import.meta.dirname, 'build-cpu.sh'), dir, program]);
    const { stdout } = await run(program, ['1', isLong ? '5000' : '300']).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toMatch(/^[1-9]\d* sources were added up before all had come\n$/);
    process.stdout.write(`${placement}: ${stdout}`);
  });
});

test('a result says which dispatch of its window it is, also along a handle', async () => {
  const built = await buildSpec(input);
  const group = await built.open({ seed: 3 });
  const inputs = drawInputs(built.spec, { seed: 1, numTokens: [3, 4, 5], pattern: 'distinct' });
  const calls = () => group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!));
  const [first] = await group.dispatch(calls());
  const second = group.enqueueDispatch(calls());
  const again = await group.dispatch(
    group.ranks.map((rank, r) => ({
      ...payloadTensors(rank, built.spec, inputs[r]!),
      handle: second[r]!.handle,
    })) as never,
  );
  expect(first).toMatchObject({ ready: { target: 1, rank: 0 } });
  expect(second[2]).toMatchObject({ ready: { target: 2, rank: 2 } });
  expect(again[2]).toMatchObject({ ready: { ...second[2]!.ready, target: 3 } });
  await group.recover();
  const [recovered] = await group.dispatch(calls());
  expect(recovered).toMatchObject({ ready: { target: 1 } });
  await group.dispose();
});

test('a spec without ready counters has no trace of them', () => {
  const files = generate(parseSpec({ ...input, ht: { maxTokensPerRank: 24 } }, 'test'));
  expect([...files.keys()]).not.toContain('ready.cuh');
  expect([...files.values()].join('')).not.toMatch(/dispatch_counted/);
});
