import { describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { poisonRegions, windowBases } from '../../support/exchange.js';
import {
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  llOf,
  lowLatencyRegions,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { unequalTokens } from '../../support/routing.js';

// Every byte that calls leave, whatever the order in which blocks, lanes and ranks came to run.

interface Run {
  readonly seed: number;
  readonly numChannels: number;
  /** How far the ranks are apart, in virtual nanoseconds. */
  readonly skew: number;
}

describe.each([
  'two ranks, top-32, UE8M0, fp8 both ways',
  'five ranks, top-6',
  'six ranks, rounded scales in rows, combined as fp8',
  'eight ranks, hidden 16, four in flight',
] as const satisfies readonly LowLatencySpecName[])('%s', (name) => {
  async function run(built: Built, { seed, numChannels, skew }: Run): Promise<Map<string, Buffer>> {
    const { spec } = built;
    await using group = await built.open({ seed });
    const bases = windowBases(group);
    await poisonRegions(built, group, bases, lowLatencyRegions);
    const bytes = new Map<string, Buffer>();
    for (let call = 0; call < 3; call++) {
      const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, call);
      const inputs = drawTokens(spec, { seed: call, numTokens, pattern: 'duplicates' });
      const want = expectedRows(spec, inputs);
      for (const { index } of group.ranks) delayRank(group, index, skew * ((index * 5 + seed) % 7));
      const received = dispatchTokens(group, spec, inputs, { numChannels });
      const handles = received.map(async ({ handle }, r) => {
        const [slot, ranges] = await Promise.all([handle.slot(), handle.layoutRange()]);
        bytes.set(`call ${call} slot ${r}`, bytesOf(slot));
        bytes.set(`call ${call} ranges ${r}`, bytesOf(ranges));
      });
      const outputs = drawOutputs(spec, want, call);
      const combined = combineTokens(
        group,
        spec,
        { inputs, want, received, outputs },
        { numChannels },
      );
      for (const [r, { x }] of combined.entries()) {
        bytes.set(`call ${call} sums ${r}`, bytesOf(await x.toArray()));
      }
      await Promise.all(handles);
    }
    for (const [region, of] of await windowBytes(built, group, bases)) bytes.set(region, of);
    return bytes;
  }

  async function windowBytes(built: Built, group: Group, bases: readonly bigint[]) {
    const all = group.ranks.flatMap((rank, r) =>
      lowLatencyRegions.map(async (region) => {
        const where = built.sizes.regions[region];
        if (where === undefined) return [`${region} ${r}`, Buffer.alloc(0)] as const;
        const numBytes = where.stride * (where.numBuffers - 1) + where.bytes;
        const pointer = bases[r]! + BigInt(where.offset);
        const tensor = rank.tensorFromPointer('u8', [numBytes], pointer);
        return [`${region} ${r}`, bytesOf(await tensor.toArray())] as const;
      }),
    );
    return Promise.all(all);
  }

  test('leaves the same bytes in windows, handles and sums for every seed, number of channels and skew of ranks', async () => {
    const built = await buildSpec(lowLatencySpecs[name]);
    const { channels } = built.spec;
    const most = channels.ll === 'chip' ? llOf(built.spec).maxTokensPerRank : channels.ll;
    const first = await run(built, { seed: 1, numChannels: 1, skew: 0 });
    for (const other of [
      { seed: 2, numChannels: most, skew: 0 },
      { seed: 3, numChannels: 2, skew: 40_000 },
      { seed: 4, numChannels: most, skew: 7_000 },
    ]) {
      const bytes = await run(built, other);
      const different = [...first].filter(([key, value]) => !bytes.get(key)?.equals(value));
      expect(different.map(([key]) => key)).toEqual([]);
      expect(bytes.size).toBe(first.size);
    }
  });
});

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
