import { beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { AnyTensor, Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import {
  allRegions,
  type ExchangeOptions,
  exchange,
  type GotCombined,
  windowBases,
} from '../support/exchange.js';
import { mixedSpecs } from '../support/kernel-specs.js';
import { unequalTokens } from '../support/routing.js';

// Every byte that calls leave, whatever the order in which blocks, lanes and ranks came to run.

const names = [
  'six ranks, all options of compact rows',
  'seven ranks, all options of slotted rows',
  'five ranks, hidden 8176, f16 summed in f32',
] as const;

interface Run {
  readonly seed: number;
  readonly numChannels: number;
  /** How far the ranks are apart, in virtual nanoseconds. */
  readonly skew: number;
}

describe.each(names)('%s', (name) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(mixedSpecs[name]);
  });

  const callsOf = ({ ht }: Built['spec']): readonly ExchangeOptions[] => [
    {},
    ...(ht.withoutTopk ? [{ withoutTopk: true }] : []),
    ...(ht.cached ? [{ numCached: 1 }] : []),
    ...(ht.expertMajor ? [{ byExpert: true }] : []),
  ];

  /** The bytes of each kind of call, by name. */
  async function run({ seed, numChannels, skew }: Run): Promise<ReadonlyMap<string, Buffer>> {
    const { spec } = built;
    await using group = await built.open({ seed });
    const bases = windowBases(group);
    const numTokens = unequalTokens(spec.ranks, spec.ht.maxTokensPerRank, 6);
    const inputs = drawInputs(spec, { seed: 6, numTokens, pattern: 'someNone' });
    const bytes = new Map<string, Buffer>();
    for (const options of callsOf(spec)) {
      for (const { index } of group.ranks) {
        stateOf(group).callSync((raw) => raw.delay(index, skew * ((index * 5 + seed) % 7)));
      }
      const combined = await exchange(built, group, bases, inputs, {
        ...options,
        numChannels,
      });
      const call = JSON.stringify(options);
      for (const [r, one] of combined.entries()) bytes.set(`${call} sums ${r}`, await sumsOf(one));
      for (const [region, of] of await windowBytes(group, bases))
        bytes.set(`${call} ${region}`, of);
    }
    return bytes;
  }

  async function windowBytes(group: Group, bases: readonly bigint[]) {
    const all = group.ranks.flatMap((rank, r) =>
      allRegions.map(async (name) => {
        const region = built.sizes.regions[name];
        if (region === undefined) return [`${name} ${r}`, Buffer.alloc(0)] as const;
        const numBytes = region.stride * (region.numBuffers - 1) + region.bytes;
        const pointer = bases[r]! + BigInt(region.offset);
        const tensor = rank.tensorFromPointer('u8', [numBytes], pointer);
        return [`${name} ${r}`, Buffer.from(await tensor.toArray())] as const;
      }),
    );
    return Promise.all(all);
  }

  async function sumsOf({ x, topkWeights }: GotCombined): Promise<Buffer> {
    const arrays = [x, topkWeights].map(async (tensor?: AnyTensor | null) => {
      const { buffer, byteOffset, byteLength } = (await tensor?.toArray()) ?? new Uint8Array();
      return Buffer.from(buffer, byteOffset, byteLength);
    });
    return Buffer.concat(await Promise.all(arrays));
  }

  test('leaves the same bytes in windows and sums for every seed, number of channels and skew of ranks', async () => {
    const { count } = built.spec.channels.memory;
    const first = await run({ seed: 1, numChannels: 1, skew: 0 });
    for (const other of [
      { seed: 2, numChannels: count, skew: 0 },
      { seed: 3, numChannels: 2, skew: 40_000 },
    ]) {
      const bytes = await run(other);
      const different = [...first].filter(([key, value]) => !bytes.get(key)?.equals(value));
      expect(different.map(([key]) => key)).toEqual([]);
    }
  });
});
