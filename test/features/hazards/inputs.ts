import type { Hazard } from '../hazard.js';

const combine = 'test/kernels/combine-options.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const farRows = 'test/kernels/far-rows.test.ts';
const limits = 'test/kernels/limits.test.ts';
const llCast = 'test/kernels/low-latency/cast.test.ts';
const llShapes = 'test/kernels/low-latency/shapes.test.ts';
const payload = 'test/kernels/payload.test.ts';
const properties = 'test/kernels/properties.test.ts';
const rules = 'test/generator/rules.test.ts';
const smoke = 'test/kernels/smoke.test.ts';
const compact = 'six ranks, all options of compact rows';
const slotted = 'seven ranks, all options of slotted rows';
const mostExperts = 'eight ranks, 2048 experts, top-32, one vector of hidden, summed in f32';
const llFull = 'as many tokens as fit on each rank';
const llUnequal = 'unequal tokens, none on one rank';
const specialBlocks =
  'zero, tiny, largest, NaN and infinite blocks are cast as the model casts them';
const anyRouting = 'dispatch and combine give the bits of the model for any routing';

/** Sizes, routings, contents. */
export const inputs: readonly Hazard[] = [
  {
    name: 'Numbers of ranks',
    tried: 'every number from 1 to 8; experts that ranks cannot share are refused',
    tests: [
      [exchange, 'one rank, hidden 16 > the maximum of tokens, distinct experts'],
      [exchange, 'two ranks, top-1 > the maximum of tokens, distinct experts'],
      [exchange, 'three ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [exchange, 'four ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [exchange, 'five ranks, top-6 > the maximum of tokens, distinct experts'],
      [exchange, 'six ranks, top-4 > the maximum of tokens, distinct experts'],
      [exchange, 'seven ranks, top-3 > the maximum of tokens, distinct experts'],
      [exchange, 'eight ranks, hidden 7168 > the maximum of tokens, distinct experts'],
      [rules, 'RULES > kNumExperts % kNumRanks == 0'],
      [llShapes, `one rank, one vector of hidden, top-1 > ${llFull}`],
      [llShapes, `two ranks, hidden 64 > ${llFull}`],
      [llShapes, `three ranks, one block of scales, fp8 both ways > ${llFull}`],
      [llCast, 'four ranks, hidden 16384, rounded scales in columns > and travel so in combine'],
      [llShapes, `five ranks, top-6 > ${llFull}`],
      [llShapes, `six ranks, rounded scales in rows, combined as fp8 > ${llFull}`],
      [llShapes, `seven ranks, one channel > ${llFull}`],
      [llShapes, `eight ranks, hidden 16, four in flight > ${llFull}`],
    ],
  },
  {
    name: 'Numbers of tokens',
    tried: 'none anywhere, none on one rank, one, the maximum, unequal; one too many is refused',
    tests: [
      [exchange, 'three ranks, hidden 2880 > no token on any rank'],
      [
        exchange,
        'three ranks, hidden 2880 > 1 tokens a rank, duplicate experts, combined from a tensor',
      ],
      [limits, `${compact} > one token of one rank`],
      [limits, `${compact} > as many on one rank, none on another`],
      [limits, `${slotted} > as many on one rank, none on another`],
      [limits, `${compact} > as many tokens as fit`],
      [limits, `${slotted} > as many tokens as fit`],
      [combine, 'bf16 both ways, 2 biases, top-4 of 8 ranks > tokens of one rank only'],
      [
        limits,
        `${compact} > one token more is refused on all ranks, whoever has it, with the maximum and the way out`,
      ],
      [llShapes, 'five ranks, top-6 > no tokens at all'],
      [llShapes, 'five ranks, top-6 > one token on each rank'],
      [llShapes, `five ranks, top-6 > ${llUnequal}: distinct`],
      [llShapes, `five ranks, top-6 > ${llFull}`],
      [
        'test/kernels/low-latency/bad-input.test.ts',
        'a dispatch is refused, with nothing launched on any rank: > too many tokens',
      ],
    ],
  },
  {
    name: 'Routings',
    tried: 'all to one rank or expert, none to the own rank, no expert, some of none, duplicates',
    tests: [
      [limits, `${compact} > routing oneRank`],
      [limits, `${compact} > routing oneExpert`],
      [limits, `${compact} > routing noneToSelf`],
      [limits, `${compact} > routing allNone`],
      [limits, `${compact} > routing someNone`],
      [limits, `${compact} > routing duplicates`],
      [limits, `${slotted} > routing allNone`],
      [properties, `${compact} > ${anyRouting}`],
      [properties, `${slotted} > ${anyRouting}`],
      [llShapes, `five ranks, top-6 > ${llUnequal}: oneRank`],
      [llShapes, `five ranks, top-6 > ${llUnequal}: noneToSelf`],
      [llShapes, `five ranks, top-6 > ${llUnequal}: allNone`],
      [llShapes, `five ranks, top-6 > ${llUnequal}: someNone`],
      [llShapes, `five ranks, top-6 > ${llUnequal}: duplicates`],
      [llShapes, 'five ranks, top-6 > all tokens of all ranks for one expert fill all its rows'],
      [llShapes, 'five ranks, top-6 > any routing'],
    ],
  },
  {
    name: 'Top-k and experts up to their limits, both ways',
    tried:
      'top-1 of 2 experts, top-32 of 2048, 256 of them on each rank; low latency: top-1 of 4, top-32 of 64; more is refused by the spec',
    tests: [
      [exchange, 'two ranks, top-1 > the maximum of tokens, distinct experts'],
      [limits, `${mostExperts} > as many tokens as fit`],
      [limits, `${mostExperts} > routing oneExpert`],
      [limits, `${mostExperts} > routing duplicates`],
      [properties, `${mostExperts} > ${anyRouting}`],
      [rules, 'RULES > kNumTopk <= 32'],
      [rules, 'RULES > kNumExperts <= 2048'],
      [llShapes, 'one rank, one vector of hidden, top-1 > any routing'],
      [llShapes, 'two ranks, top-32, UE8M0, fp8 both ways > any routing'],
    ],
  },
  {
    name: 'Hidden sizes at their edges, both ways',
    tried:
      'one vector, 24, 2880, 8176, 8192 and 16384 elements; sums of 64 KiB; low latency: one vector, 24, 7168, 16384',
    tests: [
      [exchange, 'one rank, one vector of hidden > the maximum of tokens, distinct experts'],
      [exchange, 'five ranks, top-6 > the maximum of tokens, distinct experts'],
      [exchange, 'four ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [limits, 'five ranks, hidden 8176, f16 summed in f32 > as many tokens as fit'],
      [limits, 'four ranks, hidden 8192, bytes summed in f32 > as many tokens as fit'],
      [limits, 'two ranks, hidden 16384 > as many tokens as fit'],
      [properties, `two ranks, hidden 16384 > ${anyRouting}`],
      [
        combine,
        'bf16 to f32, rows of 64 KiB, top-32 > unequal tokens, none on one rank, rows and weights of tensors',
      ],
      [llShapes, 'one rank, one vector of hidden, top-1 > any routing'],
      [llShapes, 'five ranks, top-6 > any routing'],
      [llCast, 'eight ranks, hidden 7168 > and travel so in combine'],
      [llCast, `four ranks, hidden 16384, rounded scales in columns > ${specialBlocks}`],
      [llCast, 'four ranks, hidden 16384, rounded scales in columns > and travel so in combine'],
    ],
  },
  {
    name: 'Sizes past 31 bits',
    tried:
      'rows, scales, extras, groups and sums past 2^31 bytes, some past 2^32; low latency: slots past 31 bits are refused',
    tests: [
      [
        farRows,
        'slotted rows > the last source has its rows past 2^32 bytes, and scales past 2^32 elements',
      ],
      [
        farRows,
        'slotted rows > go there with all beside them, again along the handle, and combine brings them back',
      ],
      [
        farRows,
        'one rank, scales by row > tokens whose scales and extras lie past 2^31 bytes, and their sums and biases',
      ],
      [
        farRows,
        'one rank, scales by row > rows by expert past 2^31 bytes and elements, and their sums',
      ],
      [
        'test/generator/properties.test.ts',
        'a layout > has aligned regions that do not overlap and lie in the window',
      ],
      [rules, 'RULES > kWindowBytes / kReadyUnit <= 0xffffffffu'],
      [rules, 'RULES > uint64_t{kMaxTokensPerRank} * kNumTopk < kNoToken'],
      [rules, 'RULES > uint64_t{kNumExperts} * kMaxLlRecvTokens < 0x80000000u'],
    ],
  },
  {
    name: 'Scales, NaNs, infinities',
    tried: 'scales by row and column, packed, of a block cut short; every special number',
    tests: [
      [
        payload,
        'fp8, f32 scales in rows, the last block cut short, extras, i32 choices > without top-k: false > the maximum of tokens, distinct experts',
      ],
      [
        payload,
        'fp8, packed scales in columns, extras of one word > without top-k: false > the maximum of tokens, distinct experts',
      ],
      [
        'test/reference/cast.test.ts',
        'UE8M0 scales are rounded up before elements are divided by them',
      ],
      ['test/reference/cast.test.ts', 'f32 scales: so have tiny blocks'],
      ['test/reference/cast.test.ts', 'f32 scales: NaNs do not count'],
      [smoke, 'one rank > a NaN weight is transported bit for bit'],
      [llCast, `two ranks, top-32, UE8M0, fp8 both ways > ${specialBlocks}`],
      [llCast, `three ranks, one block of scales, fp8 both ways > ${specialBlocks}`],
      [llCast, 'three ranks, one block of scales, fp8 both ways > and travel so in combine'],
      [llCast, `six ranks, rounded scales in rows, combined as fp8 > ${specialBlocks}`],
      [
        'test/reference/low-latency-combine.test.ts',
        'a NaN is canonical; −0 alone becomes +0, a negative sum that underflows −0',
      ],
    ],
  },
];
