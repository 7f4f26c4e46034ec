import type { Hazard } from '../hazard.js';

const combine = 'test/kernels/combine-options.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const payload = 'test/kernels/payload.test.ts';
const placement = 'test/kernels/placement.test.ts';
const properties = 'test/kernels/properties.test.ts';
const rules = 'test/generator/rules.test.ts';
const smoke = 'test/kernels/smoke.test.ts';
const sameBits = 'groups and sums are the model bit for bit';

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
      [exchange, 'three ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [
        exchange,
        'three ranks, hidden 2880 > unequal tokens, none on one rank, combined from received rows in place',
      ],
      [combine, 'bf16 both ways, 2 biases, top-4 of 8 ranks > tokens of one rank only'],
      [
        'test/runtime/dispatch.test.ts',
        'dispatch > refuses too many tokens before anything is launched',
      ],
    ],
  },
  {
    name: 'Routings',
    tried: 'all to one rank or expert, none to the own rank, no expert, some of none, duplicates',
    tests: [
      [exchange, 'seven ranks, top-3 > routing oneRank'],
      [exchange, 'seven ranks, top-3 > routing oneExpert'],
      [exchange, 'seven ranks, top-3 > routing noneToSelf'],
      [exchange, 'seven ranks, top-3 > routing allNone'],
      [
        exchange,
        'seven ranks, top-3 > unequal tokens, none on one rank, combined from received rows in place',
      ],
      [
        exchange,
        'seven ranks, top-3 > 33 tokens a rank, duplicate experts, combined from a tensor',
      ],
      [
        properties,
        'seven ranks, top-3 > dispatch and combine give the bits of the model for any routing',
      ],
    ],
  },
  {
    name: 'Top-k and experts up to their limits, both ways',
    tried: 'top-1 and top-32, 256 experts of 8 ranks, 70 of one; more is refused by the spec',
    tests: [
      [exchange, 'two ranks, top-1 > the maximum of tokens, distinct experts'],
      [
        combine,
        'bf16 to f32, rows of 64 KiB, top-32 > the maximum of tokens, weights in place of those received, all biases',
      ],
      [exchange, 'eight ranks, hidden 7168 > the maximum of tokens, distinct experts'],
      [
        'test/kernels/expert-major.test.ts',
        `fp8 with packed scales in rows to f32, more experts than lanes > ${sameBits}`,
      ],
      [rules, 'RULES > kNumTopk <= 32'],
      [rules, 'RULES > kNumExperts <= 2048'],
    ],
  },
  {
    name: 'Hidden sizes at their edges, both ways',
    tried: 'one vector, 24, 2880, 8192 and 16384 elements',
    tests: [
      [exchange, 'one rank, one vector of hidden > the maximum of tokens, distinct experts'],
      [exchange, 'five ranks, top-6 > the maximum of tokens, distinct experts'],
      [exchange, 'four ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [
        placement,
        'credit, two live results, several pieces of a row > the maximum of tokens, combined from received rows in place',
      ],
      [
        combine,
        'bf16 to f32, rows of 64 KiB, top-32 > unequal tokens, none on one rank, rows and weights of tensors',
      ],
    ],
  },
  {
    name: 'Sizes past 31 bits',
    tried: 'offsets in the plan, the layout and the rules; not run',
    tests: [
      [
        'test/generator/properties.test.ts',
        'a layout > has aligned regions that do not overlap and lie in the window',
      ],
      [rules, 'RULES > kWindowBytes / kReadyUnit <= 0xffffffffu'],
      [rules, 'RULES > uint64_t{kMaxTokensPerRank} * kNumTopk < kNoToken'],
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
    ],
  },
];
