import { beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import type { Group } from '../../../native/index.js';
import type { Built } from '../../support/built.js';
import { combinedFlaws, ReplayInputs, receivedFlaws } from '../../support/replays.js';
import { buildSpec } from '../harness/built.js';
import { host } from '../harness/host.js';
import { note } from '../harness/tree.js';
import { failureOf, gpuSpec, rankCounts } from '../support/gpu-specs.js';

const numReplays = 1000;
const numTokens = 8;

/** CUDA calls that replays, and reads and writes between them, may make: none allocates, waits or makes a graph. */
const replayCalls = new Set([
  'cudaEventQuery',
  'cudaEventRecord',
  'cudaGraphLaunch',
  'cudaMemcpyAsync',
]);

describe.each(rankCounts)('%i ranks', (numRanks) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(gpuSpec(numRanks));
  });

  const counts = () => Array.from({ length: numRanks }, (_, r) => (r === 1 ? 3 : numTokens));

  function pair(group: Group, inputs: ReplayInputs) {
    const received = group.enqueueDispatch(inputs.calls);
    const combined = group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
    return { received, combined };
  }

  test.each([
    ['one pair', 1],
    ['two pairs', 2],
  ])(
    `${numReplays} replays of %s, each with new routing`,
    async (_, numPairs) => {
      await using group = await built.open({ seed: numPairs });
      const inputs = new ReplayInputs(group, built.spec, counts());
      const graph = await group.capture(() =>
        Array.from({ length: numPairs }, () => pair(group, inputs)),
      );
      for (let replay = 0; replay < numReplays; replay++) {
        const { written, want } = inputs.fill(replay);
        const pairs = graph.replay();
        const rows = want.map(({ x }) => x);
        const flaws = pairs.flatMap(({ received, combined }) => [
          receivedFlaws(built.spec, `replay ${replay}`, received, want),
          combinedFlaws(built.spec, `replay ${replay}`, combined, want, rows),
        ]);
        expect((await Promise.all(flaws)).flat()).toEqual([]);
        await written;
      }
      await graph.ended();
    },
    600_000,
  );

  test('replays allocate nothing, wait for nothing and make no graph', async () => {
    await using group = await built.open({ seed: 3 });
    const inputs = new ReplayInputs(group, built.spec, counts());
    const graph = await group.capture(() => pair(group, inputs));
    const made = () =>
      host().backend === 'cuda' ? stateOf(group).callSync((raw) => raw.cudaCalls()) : [];
    await graph.ended();
    const before = new Set(made());
    for (let replay = 0; replay < 100; replay++) graph.replay();
    await graph.ended();
    const names = made().filter((name) => !before.has(name));
    note('new calls', names);
    expect(names.filter((name) => !replayCalls.has(name))).toEqual([]);
  });

  test('what one of many replays in flight found wrong is told', async () => {
    await using group = await built.open({ seed: 4 });
    const { spec } = built;
    const inputs = new ReplayInputs(group, spec, counts());
    const graph = await group.capture(() => pair(group, inputs));
    const { topkIdx } = inputs.calls[0]!;
    const indices = new BigInt64Array(numTokens * spec.topk);
    indices[spec.topk] = BigInt(spec.experts);
    const wrong = topkIdx.copyFrom(indices);
    graph.replay();
    // This write is told what was found if the replay has ended by then, else the wait below.
    const right = topkIdx.copyFrom(new BigInt64Array(indices.length));
    for (let replay = 0; replay < 50; replay++) graph.replay();
    const told = [failureOf(right), failureOf(graph.ended())];
    const errors = (await Promise.allSettled(told)).flatMap((one) =>
      one.status === 'fulfilled' ? [one.value.message] : [],
    );
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(`rank 0: topkIdx[1][0] is ${spec.experts}`);
    await wrong;
  });
});
