import { beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import type { Built } from '../../support/built.js';
import { dispatchCall, expectExchange, windowBases } from '../../support/exchange.js';
import { buildSpec } from '../harness/built.js';
import { note } from '../harness/tree.js';
import { failureOf, gpuSpec, inputsOf, rankCounts } from '../support/gpu-specs.js';

/** CUDA calls that neither allocate nor wait; any other after open fails the test. */
const harmless = new Set([
  'cudaEventElapsedTime',
  'cudaEventQuery',
  'cudaEventRecord',
  'cudaEventRecordWithFlags',
  'cudaGetDevice',
  'cudaGetDriverEntryPointByVersion',
  'cudaGetErrorName',
  'cudaGetErrorString',
  'cudaGetLastError',
  'cudaLaunchKernel',
  'cudaLaunchKernelExC',
  'cudaMemcpyAsync',
  'cudaMemcpyPeerAsync',
  'cudaMemsetAsync',
  'cudaPeekAtLastError',
  'cudaSetDevice',
  'cudaStreamQuery',
  'cudaStreamWaitEvent',
]);

describe.each(rankCounts)('%i ranks', (numRanks) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(gpuSpec(numRanks));
  });

  test('no call after open allocates or synchronises, also when a call is given up', async () => {
    await using group = await built.open({ deadlineMs: 200 });
    const inputs = (seed: number) => inputsOf(built.spec, 'distinct', seed);
    const bases = windowBases(group);
    for (const combineFrom of ['window', 'received', 'tensor'] as const) {
      await expectExchange(built, group, bases, inputs(1), { combineFrom });
    }
    const topkIdx = group.ranks[0]!.tensor('i64', [1, built.spec.topk], Array(6).fill(0));
    await group.ranks[0]!.getDispatchLayout({ topkIdx });
    const calls = group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs(2)[r]!));
    const received = group.enqueueDispatch(calls);
    const combined = group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
    await Promise.all(combined.map(({ x }) => x.toArray()));
    await failureOf(group.ranks[0]!.dispatch(calls[0]!));
    await group.recover();
    await expectExchange(built, group, bases, inputs(3));

    const names = stateOf(group).callSync((raw) => raw.cudaCalls());
    note('calls', names);
    expect(names).toContain('cudaMemcpyAsync');
    expect(names.filter((name) => !harmless.has(name))).toEqual([]);
  });
});
