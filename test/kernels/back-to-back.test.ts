import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Group } from '../../native/index.js';
import { combineReference } from '../../native/reference/index.js';
import { type Built, buildSpec } from '../support/built.js';
import {
  difference,
  dispatchCall,
  expectedOutputs,
  receiveRegions,
  windowBases,
} from '../support/exchange.js';
import { randomFrom } from '../support/random.js';
import { dispatchInputs, type RoutingPattern, unequalTokens } from '../support/routing.js';

const numCalls = 200;
const patterns: readonly RoutingPattern[] = [
  'distinct',
  'duplicates',
  'someNone',
  'oneRank',
  'noneToSelf',
  'allNone',
];

let built: Built;
let group: Group;
let bases: bigint[];

beforeAll(async () => {
  built = await buildSpec({
    ranks: 4,
    hidden: 64,
    experts: 16,
    topk: 3,
    ht: { maxTokensPerRank: 40, liveResults: 2 },
    channels: { memory: { count: 4 } },
  });
  group = await built.open({ seed: 77 });
  bases = windowBases(group);
});
afterAll(() => group?.dispose());

/** Poisons the receive buffers of dispatch `sequence` in stream order, without waiting. */
function poison(sequence: number): Promise<unknown> {
  return Promise.all(
    group.ranks.flatMap((rank, r) =>
      receiveRegions.map((name) => {
        const region = built.sizes.regions[name];
        const pointer =
          bases[r]! + BigInt(region.offset + (sequence % region.numBuffers) * region.stride);
        return rank
          .tensorFromPointer('u8', [region.bytes], pointer)
          .copyFrom(new Uint8Array(region.bytes).fill(0x5a + (sequence % 7)));
      }),
    ),
  );
}

test(`${numCalls} dispatch and combine pairs, enqueued without waiting, ranks running ahead of each other`, async () => {
  const { spec } = built;
  const random = randomFrom(4, 0, 1);
  const checks: Promise<string[]>[] = [];
  await poison(0);

  for (let call = 0; call < numCalls; call++) {
    const inputs = dispatchInputs({
      ranks: spec.ranks,
      experts: spec.experts,
      topk: spec.topk,
      hidden: spec.hidden,
      seed: call,
      numTokens: unequalTokens(spec.ranks, 40, call),
      pattern: patterns[call % patterns.length]!,
    });
    const want = expectedOutputs(spec, inputs);

    // An early peer may write the next call's buffer as soon as this call is enqueued.
    const poisoned = poison(call + 1);
    const numChannels = 1 + random(4);
    const received = group.enqueueDispatch(
      group.ranks.map((rank, r) => ({ ...dispatchCall(rank, spec, inputs[r]!), numChannels })),
    );
    const arrived = received.map(async ({ x, topkIdx, srcIdx, numRecvTokens }, r) => {
      const [bits, idx, sources, count] = await Promise.all([
        x.toArray(),
        topkIdx.toArray(),
        srcIdx.toArray(),
        numRecvTokens.toArray(),
      ]);
      const n = want[r]!.numRecvTokens;
      return [
        difference(`call ${call} rank ${r} numRecvTokens`, 1, count, [n]),
        difference(
          `call ${call} rank ${r} x`,
          spec.hidden,
          bits.subarray(0, n * spec.hidden),
          want[r]!.x,
        ),
        difference(
          `call ${call} rank ${r} topkIdx`,
          spec.topk,
          idx.subarray(0, n * spec.topk),
          want[r]!.topkIdx,
        ),
        difference(`call ${call} rank ${r} srcIdx`, 1, sources.subarray(0, n), want[r]!.srcIdx),
      ];
    });
    const combined = group.enqueueCombine(
      received.map(({ x, handle }) => ({ x, handle, numChannels: 1 + random(4) })),
    );
    const wantCombined = combineReference({
      ranks: spec.ranks,
      hidden: spec.hidden,
      perRank: want.map(({ x, handle }) => ({ x, slot: handle.slot })),
    });
    const summed = combined.map(async ({ x }, r) => [
      difference(
        `call ${call} rank ${r} combined`,
        spec.hidden,
        await x.toArray(),
        wantCombined[r]!,
      ),
    ]);
    checks.push(
      Promise.all([poisoned, ...arrived, ...summed]).then(([, ...found]) =>
        found.flat().filter((text) => text !== undefined),
      ),
    );
  }
  expect((await Promise.all(checks)).flat()).toEqual([]);
});
