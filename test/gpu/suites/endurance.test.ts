import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { combineReference, type DispatchOutput } from '../../../native/reference/index.js';
import type { Built } from '../../support/built.js';
import { difference, expectedOutputs, receiveRegions } from '../../support/exchange.js';
import { randomFrom } from '../../support/random.js';
import { type RoutingPattern, unequalTokens } from '../../support/routing.js';
import { buildSpec } from '../harness/built.js';
import { host } from '../harness/host.js';
import { note } from '../harness/tree.js';
import { gpuSpec, inputsOf, maxTokens, rankCounts } from '../support/gpu-specs.js';
import { type Prepared, type RawCalls, rawCalls } from '../support/raw-calls.js';

const numRoutings = 24;
const comparedEvery = 199;
const patterns: readonly RoutingPattern[] = [
  'distinct',
  'duplicates',
  'someNone',
  'oneRank',
  'noneToSelf',
  'allNone',
];

interface Routed {
  readonly prepared: Prepared;
  readonly received: readonly DispatchOutput[];
  readonly combined: readonly Uint16Array[];
}

describe.each(rankCounts)('%i ranks', (numRanks) => {
  let built: Built;
  let group: Group;
  let calls: RawCalls;
  let routings: Routed[];

  beforeAll(async () => {
    built = await buildSpec(gpuSpec(numRanks));
    group = await built.open({ seed: 9 });
    calls = rawCalls(group, built.spec);
    routings = [];
    for (let i = 0; i < numRoutings; i++) routings.push(await route(i));
  });
  afterAll(() => group?.dispose());

  async function route(i: number): Promise<Routed> {
    const { spec } = built;
    const numTokens = unequalTokens(spec.ranks, maxTokens, i);
    const inputs = inputsOf(spec, patterns[i % patterns.length]!, 100 + i, numTokens);
    const received = expectedOutputs(spec, inputs);
    const combined = combineReference({
      ...{ ranks: spec.ranks, hidden: spec.hidden },
      perRank: received.map(({ x, handle }) => ({ x, slot: handle.slot })),
    });
    return { prepared: await calls.prepare(inputs), received, combined };
  }

  const failures: unknown[] = [];
  const told = (error: unknown) => void failures.push(error);

  /** Poisons what dispatch `sequence` will fill on one rank, in stream order. */
  function poison(r: number, sequence: number): void {
    const base = calls.raw.windowBase(r);
    for (const name of receiveRegions) {
      const region = built.sizes.regions[name];
      const pointer = base + BigInt(region.offset + calls.buffer(sequence) * region.stride);
      calls.raw.fill(r, pointer, region.bytes, 0x5a + (sequence % 7)).catch(told);
    }
  }

  /** Reads, in stream order, what call `sequence` gave on one rank. */
  function check(r: number, sequence: number, { received, combined }: Routed): Promise<string[]> {
    const { spec, sizes } = built;
    const { numRecvTokens: n, x, topkIdx, topkWeights, srcIdx } = received[r]!;
    const at = (field: string) => `call ${sequence} rank ${r} ${field}`;
    const base = calls.raw.windowBase(r);
    const read = (name: (typeof receiveRegions)[number], numBytes: number) => {
      const { offset, stride } = sizes.regions[name];
      const pointer = base + BigInt(offset + calls.buffer(sequence) * stride);
      return calls.raw.read(r, pointer, numBytes);
    };
    const out = combined[r]!;
    return Promise.all([
      read('recvX', n * spec.hidden * 2),
      read('recvTopkIdx', n * spec.topk * 8),
      read('recvTopkWeights', n * spec.topk * 4),
      read('recvSrcIdx', n * 4),
      calls.raw.read(r, calls.outs[r]!, out.byteLength),
    ]).then(([rows, idx, weights, sources, sums]) =>
      [
        difference(at('x'), spec.hidden, new Uint16Array(rows), x),
        difference(at('topkIdx'), spec.topk, new BigInt64Array(idx), topkIdx),
        difference(at('topkWeights'), spec.topk, new Uint32Array(weights), topkWeights),
        difference(at('srcIdx'), 1, new Int32Array(sources), srcIdx),
        difference(at('combined'), spec.hidden, new Uint16Array(sums), out),
      ].filter((text) => text !== undefined),
    );
  }

  // The emulator takes a second for what a GPU does in a millisecond.
  const numCalls = host().backend === 'cuda' ? 10_000 : 40;

  test(`${numCalls} dispatch and combine pairs back to back, changing routing, random delays, poisoned results`, async () => {
    const { raw } = calls;
    const random = randomFrom(7, numRanks, 0);
    const checks: Promise<string[]>[] = [];
    const start = performance.now();
    for (const rank of group.ranks) poison(rank.index, 0);
    for (let sequence = 0; sequence < numCalls; sequence++) {
      const routing = routings[random(numRoutings)]!;
      const isCompared = sequence % comparedEvery === 0 || sequence >= numCalls - 4;
      for (let r = 0; r < numRanks; r++) {
        if (random(3) === 0) raw.delay(r, random(random(100) === 0 ? 2_000_000 : 30_000));
        poison(r, sequence + 1);
        const { dispatches, combines } = routing.prepared;
        raw.dispatch(r, {
          ...dispatches[r]!,
          ...{ buffer: calls.buffer(sequence), grid: 1 + random(4), wait: false },
        });
        raw.fill(r, calls.outs[r]!, calls.outBytes, 0xa5).catch(told);
        const inputOffset = calls.inputOffset(sequence);
        raw.combine(r, { ...combines[r]!, inputOffset, grid: 1 + random(4) }).catch(told);
        if (isCompared) checks.push(check(r, sequence, routing));
      }
      // Lets finished reads be compared; nothing is waited for.
      if (sequence % 64 === 63) await new Promise((resolve) => setImmediate(resolve));
    }
    const enqueuedMs = performance.now() - start;
    const differences = (await Promise.all(checks)).flat();
    await Promise.all(group.ranks.map(({ index }) => raw.synchronize(index)));
    note('enqueued, ms', Math.round(enqueuedMs));
    note('done, ms', Math.round(performance.now() - start));
    note('compared results', checks.length);
    expect(failures.map(String)).toEqual([]);
    expect(differences.slice(0, 20)).toEqual([]);
    expect(checks.length).toBeGreaterThan(4 * numRanks - 1);
    expect(raw.counters().map(({ combine }) => combine)).toEqual(Array(numRanks).fill(numCalls));
  }, 600_000);
});
