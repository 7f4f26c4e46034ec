import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Built } from '../../support/built.js';
import { expectExchange, windowBases } from '../../support/exchange.js';
import { buildSpec } from '../harness/built.js';
import { host } from '../harness/host.js';
import { note } from '../harness/tree.js';
import { gpuSpec, inputsOf, rankCounts } from '../support/gpu-specs.js';

const numWarmUps = 5;
const maxDeviceBytes = 4 * 2 ** 20;

/** What this process holds. */
function holdings(numDevices: number) {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    freeDeviceBytes: host().backend === 'cuda' ? freeDeviceBytes(numDevices) : [],
    numDescriptors: readdirSync('/proc/self/fd').length,
    numThreads: readdirSync('/proc/self/task').length,
    numMappings: maps.length,
    numDriverMappings: maps.filter((line) => line.includes('/dev/nvidia')).length,
    residentBytes: process.memoryUsage.rss(),
  };
}

/** Free memory of each device, as the driver's tool tells. */
function freeDeviceBytes(numDevices: number): number[] {
  const args = ['--query-gpu=memory.free', '--format=csv,noheader,nounits'];
  const text = execFileSync('nvidia-smi', args, { encoding: 'utf8' });
  const mebibytes = text.trim().split('\n').map(Number);
  return mebibytes.slice(0, numDevices).map((free) => free * 2 ** 20);
}

describe.each(rankCounts)('%i ranks', (numRanks) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(gpuSpec(numRanks));
  });

  async function cycle(i: number): Promise<void> {
    await using group = await built.open({ seed: i });
    if (i % 10 > 0) return;
    await expectExchange(built, group, windowBases(group), inputsOf(built.spec, 'distinct', i));
  }

  const numCycles = host().backend === 'cuda' ? 200 : 20;

  test(`${numCycles} groups opened and disposed leave nothing behind`, async () => {
    for (let i = 0; i < numWarmUps; i++) await cycle(i);
    const before = holdings(numRanks);
    const start = performance.now();
    for (let i = 0; i < numCycles; i++) await cycle(i);
    const after = holdings(numRanks);
    note('before', before);
    note('after', after);
    note('ms a cycle', Math.round((performance.now() - start) / numCycles));
    for (const [device, free] of before.freeDeviceBytes.entries()) {
      const lost = free - after.freeDeviceBytes[device]!;
      expect(lost, `bytes lost on device ${device}`).toBeLessThan(maxDeviceBytes);
    }
    expect(after.numDescriptors).toBeLessThanOrEqual(before.numDescriptors);
    expect(after.numDriverMappings).toBeLessThanOrEqual(before.numDriverMappings);
    expect(after.numThreads).toBeLessThanOrEqual(before.numThreads);
    // The allocator and the JavaScript heap map some on their own, fewer than one a cycle.
    expect(after.numMappings - before.numMappings, 'new mappings').toBeLessThan(numCycles);
  }, 600_000);
});
