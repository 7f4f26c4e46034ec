import type { Feature } from '../feature.js';
import { flashinfer, mscclpp, nccl, v1, v2 } from './places.js';

const exchange = 'test/kernels/exchange.test.ts';
const limits = 'test/kernels/limits.test.ts';
const properties = 'test/kernels/properties.test.ts';
const rules = 'test/generator/rules.test.ts';
const mostExperts = 'eight ranks, 2048 experts, top-32, one vector of hidden, summed in f32';
const anyRouting = 'dispatch and combine give the bits of the model for any routing';

/** Sizes that an exchange may have. */
export const shapes: readonly Feature[] = [
  {
    name: 'Ranks on a host',
    ours: '1–8, any number',
    tests: [
      [exchange, 'one rank, hidden 16 > the maximum of tokens, distinct experts'],
      [exchange, 'two ranks, top-1 > the maximum of tokens, distinct experts'],
      [exchange, 'three ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [exchange, 'four ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [exchange, 'five ranks, top-6 > the maximum of tokens, distinct experts'],
      [exchange, 'six ranks, top-4 > the maximum of tokens, distinct experts'],
      [exchange, 'seven ranks, top-3 > the maximum of tokens, distinct experts'],
      [exchange, 'eight ranks, hidden 7168 > the maximum of tokens, distinct experts'],
    ],
    peers: {
      deepepV1: ['2, 4, 8', v1.launch],
      deepepV2: ['any', v2.kernels],
      mscclpp: ['2, 4, 8', mscclpp.launch],
      nccl: ['any', nccl.host],
      flashinfer: ['1–64', flashinfer.params],
    },
  },
  {
    name: 'Hidden sizes, dispatch and combine',
    ours: 'whole 16-byte vectors, to 16384 elements, one limit both ways',
    tests: [
      [exchange, 'one rank, one vector of hidden > the maximum of tokens, distinct experts'],
      [exchange, 'three ranks, hidden 2880 > the maximum of tokens, distinct experts'],
      [limits, 'five ranks, hidden 8176, f16 summed in f32 > as many tokens as fit'],
      [limits, 'four ranks, hidden 8192, bytes summed in f32 > as many tokens as fit'],
      [limits, 'two ranks, hidden 16384 > as many tokens as fit'],
      [properties, `two ranks, hidden 16384 > ${anyRouting}`],
      [
        'test/kernels/combine-options.test.ts',
        'bf16 to f32, rows of 64 KiB, top-32 > unequal tokens, none on one rank, rows and weights of tensors',
      ],
      [rules, 'RULES > kHidden <= 16384'],
    ],
    peers: {
      deepepV1: ['bf16 to 8176: 8192 fails on the device', v1.kernels, 304],
      deepepV2: ['whole 16-byte vectors; combine a multiple of 256', v2.combine],
      mscclpp: ['whole 16-byte vectors', mscclpp.host],
      nccl: ['whole 16-byte vectors, while their stages fit', nccl.host],
      flashinfer: ['any', flashinfer.params],
    },
  },
  {
    name: 'Top-k',
    ours: 'to 32, duplicates allowed',
    tests: [
      [limits, `${mostExperts} > as many tokens as fit`],
      [limits, `${mostExperts} > routing duplicates`],
      [properties, `${mostExperts} > ${anyRouting}`],
      [rules, 'RULES > kNumTopk <= 32'],
    ],
    peers: {
      deepepV1: ['to 32', v1.kernels],
      deepepV2: ['to 32, distinct', v2.kernels],
      mscclpp: ['to 32', mscclpp.kernels],
      nccl: ['no limit checked', nccl.host],
      flashinfer: ['to 22', flashinfer.params],
    },
  },
  {
    name: 'Experts, in all and per rank',
    ours: 'a multiple of the ranks, to 2048: 256 on each of 8',
    tests: [
      [exchange, 'two ranks, top-1 > the maximum of tokens, distinct experts'],
      [limits, `${mostExperts} > as many tokens as fit`],
      [limits, `${mostExperts} > routing oneExpert`],
      [properties, `${mostExperts} > ${anyRouting}`],
      ['test/generator/properties.test.ts', 'shared memory > fits for the largest of each'],
      [rules, 'RULES > kNumExperts <= 2048'],
      [rules, 'RULES > kNumExperts % kNumRanks == 0'],
    ],
    peers: {
      deepepV1: ['a multiple of the ranks, to 128 a rank', v1.kernels, 168],
      deepepV2: ['a multiple of the ranks, to 2048: 256 a rank', v2.layout],
      mscclpp: ['a multiple of the ranks, to 128 a rank', mscclpp.kernels],
      nccl: ['a multiple of the ranks, and of 4 a node', nccl.host],
      flashinfer: ['any number, also uneven', flashinfer.params],
    },
  },
  {
    name: 'Width of expert indices',
    ours: 'i64 or i32',
    tests: [
      [exchange, 'eight ranks, hidden 64, one channel > the maximum of tokens, distinct experts'],
      [
        'test/kernels/payload.test.ts',
        'fp8, 56 f32 scales in columns, 8 ranks, i32 choices > without top-k: false > the maximum of tokens, distinct experts',
      ],
    ],
    peers: {
      deepepV1: ['i64 or i32, when it is built', v1.host],
      deepepV2: ['i64 or i32, when it is built', v2.host],
      mscclpp: ['i64', mscclpp.host],
      nccl: ['i64', nccl.api],
      flashinfer: ['i32', flashinfer.params],
    },
  },
];
