import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { EpgenArgumentError, type OpenGroupOptions } from '../../../native/index.js';
import type { Built } from '../../support/built.js';
import { dispatchCall, expectExchange, windowBases } from '../../support/exchange.js';
import { buildSpec } from '../harness/built.js';
import { host, Skip } from '../harness/host.js';
import { failureOf, gpuSpec, inputsOf } from '../support/gpu-specs.js';

const { numDevices } = host();
let built: Built;
beforeAll(async () => {
  built = await buildSpec(gpuSpec(2), { backends: ['cpu', 'cuda'], otherArch: 'sm_100a' });
});

/** What a fresh process with the spec's `openGroup` prints as JSON. */
function runInProcess<Output>(body: string, env: Record<string, string> = {}) {
  const url = pathToFileURL(join(built.dir, 'index.js')).href;
  const program = `const { openGroup } = await import(${JSON.stringify(url)}); ${body}`;
  const args = ['--input-type=module', '-e', program];
  const child = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  expect(child.status, child.stderr).toBe(0);
  return { ...(JSON.parse(child.stdout) as Output), stderr: child.stderr };
}

/** The code and message with which a fresh process fails to open the spec. */
function failureInProcess(env: Record<string, string>, options: OpenGroupOptions = {}) {
  const body = `
    try {
      const group = await openGroup(${JSON.stringify(options)});
      console.log(JSON.stringify({ code: 'opened', message: group.backend }));
      await group.dispose();
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  return runInProcess<{ code: string; message: string }>(body, env);
}

describe('opening', () => {
  test('a device that is not there is refused by its number, and says how many there are', async () => {
    const failure = await failureOf(built.open({ devices: [0, 63] }));
    expect(failure.code).toMatch(/^EPGEN_/);
    expect(failure.message).toContain('63');
    expect(failure.message).toContain(String(numDevices));
  });

  test('devices in another order, and a recovery there', async () => {
    if (numDevices < 2) throw new Skip('needs two GPUs');
    await using group = await built.open({ devices: [1, 0] });
    for (const seed of [1, 2]) {
      await expectExchange(
        built,
        group,
        windowBases(group),
        inputsOf(built.spec, 'distinct', seed),
      );
      await group.recover();
    }
  });

  test('a device without ranks is left alone: no context, and so no memory, there', () => {
    if (numDevices < 2) throw new Skip('needs two GPUs');
    const body = `
      const { execFileSync } = await import('node:child_process');
      const query = ['--id=0', '--query-gpu=memory.used', '--format=csv,noheader,nounits'];
      const usedMib = () => Number(execFileSync('nvidia-smi', query, { encoding: 'utf8' }));
      const used = [usedMib()];
      const group = await openGroup({ devices: [1, 1] });
      group.ranks[0].createStream();
      try { group.ranks[0].tensorFromPointer('bf16', [4, 1024], 0x7fff_0000_0000n); } catch {}
      await group.recover();
      used.push(usedMib());
      await group.dispose();
      used.push(usedMib());
      const there = await openGroup({ devices: [0, 1] });
      used.push(usedMib());
      await there.dispose();
      console.log(JSON.stringify({ used }));`;
    const { used } = runInProcess<{ used: [number, number, number, number] }>(body);
    const [before, open, disposed, withRank] = used;
    const contextMib = 100;
    expect(withRank - before, String(used)).toBeGreaterThan(contextMib);
    expect(Math.max(open, disposed) - before, String(used)).toBeLessThan(contextMib);
  });

  test('more ranks than devices are refused', async () => {
    if (numDevices >= 8) throw new Skip('this machine has GPUs for every rank');
    const large = await buildSpec(gpuSpec(8), { evenWithTooFewDevices: true });
    const failure = await failureOf(large.open());
    expect(failure.code).toMatch(/^EPGEN_/);
    expect(failure.message).toContain('8');
    expect(failure.message).toContain(String(numDevices));
  });

  test('an addon of another architecture is refused by both names', async () => {
    const addonDir = join(built.dir, 'addon-sm_100a');
    const failure = await failureOf(built.open({ addonDir }));
    expect(failure.code).toMatch(/^EPGEN_/);
    expect(failure.message).toContain('sm_100a');
  });

  test('too little device memory says how much was wanted for what', async () => {
    const huge = await buildSpec({ ...gpuSpec(2), name: 'huge_arena', arenaBytes: 2 ** 42 });
    const failure = await failureOf(huge.open());
    expect(failure.code).toMatch(/^EPGEN_/);
    expect(failure.message).toMatch(/arena/);
    expect(failure.message).toMatch(/4398046511104|4(?:\.0+)? TiB|4096(?:\.0+)? GiB/);
    await using group = await built.open();
    expect(group.backend).toBe('cuda');
  });

  test('without a visible device, cuda is refused and auto falls back with one warning', () => {
    const env = { CUDA_VISIBLE_DEVICES: '' };
    const forced = failureInProcess(env, { backend: 'cuda' });
    expect(forced.code).toMatch(/^EPGEN_/);
    expect(forced.message).toMatch(/no .*(?:GPU|device)/i);
    const auto = failureInProcess(env);
    expect(auto).toMatchObject({ code: 'opened', message: 'cpu' });
    expect(auto.stderr.match(/epgen runs on the cpu backend/g)).toHaveLength(1);
  });

  test('CUDA_LAUNCH_BLOCKING=1 is refused by name', () => {
    const failure = failureInProcess({ CUDA_LAUNCH_BLOCKING: '1' }, { backend: 'cuda' });
    expect(failure.code).toMatch(/^EPGEN_/);
    expect(failure.message).toContain('CUDA_LAUNCH_BLOCKING');
  });

  test('a wrong EPGEN_BACKEND is refused', () => {
    const failure = failureInProcess({ EPGEN_BACKEND: 'gpu' });
    expect(failure.code).toBe('EPGEN_ARGUMENT');
    expect(failure.message).toContain('EPGEN_BACKEND');
  });
});

describe('pointers', () => {
  test('of another device, or of the host, are refused before a launch', async () => {
    await using group = await built.open();
    const [first, second] = group.ranks;
    const other = second!.tensor('bf16', [4, 1024]);
    for (const pointer of [other.pointer, 0x7fff_0000_0000n]) {
      let failure: unknown;
      try {
        first!.tensorFromPointer('bf16', [4, 1024], pointer);
      } catch (error) {
        failure = error;
      }
      expect(failure).toBeInstanceOf(EpgenArgumentError);
      expect(String(failure)).toContain('rank 0');
    }
  });

  test('a tensor of another rank is refused as an argument', async () => {
    await using group = await built.open();
    const inputs = inputsOf(built.spec, 'distinct', 1);
    const call = dispatchCall(group.ranks[1]!, built.spec, inputs[0]!);
    const failure = await failureOf(group.ranks[0]!.dispatch(call));
    expect(failure).toBeInstanceOf(EpgenArgumentError);
  });
});
