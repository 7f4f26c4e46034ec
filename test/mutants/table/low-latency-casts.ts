import { edit, type Mutant } from '../mutant.js';
import { llAccumulator, llCast, llCastRounded, llCastRow, llWrite } from './files.js';

/** Casts of low-latency rows, and their scales. */
export const lowLatencyCasts: readonly Mutant[] = [
  {
    id: 'll-amax-of-half-a-block',
    rule: 29,
    plants: 'The largest magnitude is that of 64 elements.',
    edits: [
      edit(
        llCast,
        'for (uint32_t distance = kLanesPerScale / 2; distance > 0; distance /= 2) {',
        'PLANTED(); for (uint32_t distance = kLanesPerScale / 4; distance > 0; distance /= 2) {',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-amax-of-nan',
    rule: 29,
    plants: 'A NaN counts as the largest magnitude.',
    edits: [
      edit(
        llCast,
        'if (magnitude <= kBf16Infinity && magnitude > largest) largest = magnitude;',
        'PLANTED(); if (magnitude > largest) largest = magnitude;',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-no-least-amax',
    rule: 29,
    plants: 'A block of zeros has the scale 0.',
    edits: [edit(llCast, 'return amax > 1e-4f ? amax : 1e-4f;', 'PLANTED(); return amax;')],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-pairs-swapped',
    rule: 29,
    plants: 'Two elements of a pair change places in the cast.',
    edits: [
      edit(
        llCast,
        `f32_to_e4m3x2_rn(mul_rn(bf16_lo_to_f32(vector.word[w]), factor),
                                               mul_rn(bf16_hi_to_f32(vector.word[w]), factor));`,
        `f32_to_e4m3x2_rn((PLANTED(), mul_rn(bf16_hi_to_f32(vector.word[w]), factor)),
                                               mul_rn(bf16_lo_to_f32(vector.word[w]), factor));`,
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-scale-rounded-down',
    rule: 29,
    plants: 'A scale is rounded down to a power of two.',
    edits: [
      edit(
        llCastRounded,
        'f32_from_bits((exact + kMantissa) & ~kMantissa);',
        'f32_from_bits((PLANTED(), exact & ~kMantissa));',
      ),
    ],
    spec: 'llPacked',
    expected: { detector: 'data' },
  },
  {
    id: 'll-scale-rounded-past-a-power',
    rule: 29,
    plants: 'A scale that is a power of two is rounded up to the next one.',
    edits: [
      edit(
        llCastRounded,
        'f32_from_bits((exact + kMantissa) & ~kMantissa);',
        'f32_from_bits((PLANTED(), (exact + kMantissa + 1) & ~kMantissa));',
      ),
    ],
    spec: 'llPacked',
    expected: { detector: 'data' },
  },
  {
    id: 'll-scale-by-two-lanes',
    rule: 29,
    plants: 'Two lanes of a block write its scale.',
    edits: [
      edit(
        llCastRow,
        'if (vector_idx % kLanesPerScale != 0) continue;',
        'PLANTED(); if (vector_idx % (kLanesPerScale / 2) != 0) continue;',
      ),
    ],
    spec: 'llFp8',
    expected: {
      detector: 'race',
      between: [
        'st(scales + vector_idx / kLanesPerScale',
        'st(scales + vector_idx / kLanesPerScale',
      ],
    },
  },
  {
    id: 'll-staged-scale-of-the-row',
    rule: 29,
    plants: 'A staged scale lies where the scale of the first block does.',
    edits: [
      edit(
        llWrite,
        'st(as<float>(piece + num_elements) + piece_element / kScaleBlock, cast.scale);',
        '{ PLANTED(); st(as<float>(piece + num_elements), cast.scale); }',
      ),
    ],
    spec: 'llFp8',
    expected: {
      detector: 'race',
      between: ['st(as<float>(piece + num_elements)', 'st(as<float>('],
    },
  },
  {
    id: 'll-scale-of-the-first-block',
    rule: 29,
    plants: 'All elements of a piece are scaled as its first block is.',
    edits: [
      edit(
        llAccumulator,
        'const float scale = ld(scales + vector_idx / kVectorsPerScale);',
        'PLANTED(); const float scale = ld(scales);',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
];
