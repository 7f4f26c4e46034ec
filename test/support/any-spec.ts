import fc from 'fast-check';
import { parseSpec, type Spec } from '../../generator/spec.js';

const vectorsOf = (most: number) => fc.integer({ min: 1, max: most });

/** What dispatch moves: elements alone, or fp8 in whole blocks of scales. */
const rows = fc.oneof(
  fc.record({
    dtype: fc.constantFrom('bf16', 'f16'),
    hidden: vectorsOf(2048).map((vectors) => vectors * 8),
  }),
  fc.record({ dtype: fc.constant('u8'), hidden: vectorsOf(1024).map((vectors) => vectors * 16) }),
  fc.record({
    dtype: fc.constant('fp8_e4m3'),
    hidden: vectorsOf(128).map((blocks) => blocks * 128),
    scaleBlock: fc.constantFrom(16, 32),
    scaleDtype: fc.constantFrom('f32', 'ue8m0'),
    scaleLayout: fc.constantFrom('row', 'column'),
  }),
);

const exchange = fc.record({
  ranks: fc.integer({ min: 1, max: 8 }),
  localExperts: fc.integer({ min: 1, max: 256 }),
  topk: fc.integer({ min: 1, max: 32 }),
  extraBytes: fc.integer({ min: 0, max: 64 }).map((words) => words * 4),
  combineDtype: fc.constantFrom('bf16', 'f16', 'f32'),
  topkIdx: fc.constantFrom('i64', 'i32'),
  arenaBytes: fc.constantFrom('auto', 2 ** 34),
});

const ht = fc.record({
  maxTokensPerRank: fc.integer({ min: 1, max: 65536 }),
  liveResults: fc.integer({ min: 1, max: 4 }),
  credit: fc.boolean(),
  withoutTopk: fc.boolean(),
  cached: fc.boolean(),
  combineWeights: fc.boolean(),
  biases: fc.integer({ min: 0, max: 2 }),
  readyCounters: fc.boolean(),
});

const memory = fc.record({
  count: fc.integer({ min: 1, max: 64 }),
  stages: fc.oneof(fc.constant('auto'), fc.integer({ min: 8, max: 12 })),
  pieceBytes: fc.oneof(
    fc.constant('auto'),
    vectorsOf(512).map((vectors) => vectors * 16),
  ),
  inFlightBytes: fc.oneof(fc.constant('auto'), fc.integer({ min: 1, max: 500000 })),
});

/** Options that are for rows without gaps. */
const placed = fc.oneof(
  fc.record({
    placement: fc.constant('compact'),
    compactOnly: fc.record({ worstTokens: fc.boolean(), expertMajor: fc.boolean() }),
  }),
  fc.record({ placement: fc.constant('slotted'), compactOnly: fc.constant({}) }),
);

const lowLatency = fc.record({
  maxTokensPerRank: fc.integer({ min: 1, max: 64 }),
  inFlight: fc.constantFrom(1, 2, 4),
  credit: fc.boolean(),
  stats: fc.boolean(),
  rows: fc.oneof(
    fc.constant({ dtype: 'bf16' }),
    fc.record({
      dtype: fc.constant('fp8_e4m3'),
      scaleDtype: fc.constantFrom('f32', 'ue8m0'),
      scaleLayout: fc.constantFrom('row', 'column'),
      roundScales: fc.boolean(),
    }),
  ),
  combineDtype: fc.constantFrom('bf16', 'fp8_e4m3'),
});

type LowLatency = typeof lowLatency extends fc.Arbitrary<infer T> ? T : never;

/** What low-latency calls can have with rows of so many elements: whole blocks of scales. */
function lowLatencyOf(hidden: number, { rows: cast, combineDtype, ...rest }: LowLatency) {
  const granule = 'scaleDtype' in cast && cast.scaleDtype === 'ue8m0' ? 512 : 128;
  return {
    ...rest,
    ...(hidden % granule === 0 ? cast : {}),
    ...(hidden % 128 === 0 ? { combineDtype } : {}),
  };
}

const lowLatencyChannels = fc.oneof(fc.constant('chip'), fc.integer({ min: 1, max: 128 }));

/** Valid specs over every field. */
export const specs: fc.Arbitrary<Spec> = fc
  .tuple(
    fc.tuple(exchange, rows, ht),
    fc.tuple(memory, placed),
    fc.tuple(fc.option(lowLatency, { nil: false as const }), lowLatencyChannels, fc.boolean()),
  )
  .map(([[{ localExperts, topk, ...rest }, row, options], [channels, place], low]) => {
    const [ll, llChannels, isAlone] = low;
    const { ranks, topkIdx, arenaBytes, ...highThroughputOnly } = rest;
    const experts = ranks * localExperts;
    const { placement, compactOnly } = place;
    const shape = { ranks, experts, topk: Math.min(topk, experts), topkIdx, arenaBytes };
    const ofLl = ll ? { ll: lowLatencyOf(row.hidden, ll) } : {};
    const llOfChannels = ll ? { ll: llChannels } : {};
    if (ll && isAlone) {
      const { hidden } = row;
      return parseSpec({ ...shape, hidden, ht: false, ...ofLl, channels: llOfChannels }, 'any');
    }
    const input = {
      ...shape,
      ...highThroughputOnly,
      ...row,
      ht: { ...options, ...compactOnly },
      ...ofLl,
      channels: { memory: { ...channels, placement }, ...llOfChannels },
    };
    return parseSpec(input, 'any');
  });
