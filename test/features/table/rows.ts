import type { Feature } from '../feature.js';
import { flashinfer, mscclpp, nccl, none, v1, v2 } from './places.js';

const accuracy = 'test/kernels/accuracy.test.ts';
const payload = 'test/kernels/payload.test.ts';
const combine = 'test/kernels/combine-options.test.ts';
const distinct = 'without top-k: false > the maximum of tokens, distinct experts';
const nearFp64 =
  'rows arrive bit for bit, sums are within the rounding of their terms of sums in fp64';
const allBiases = 'the maximum of tokens, weights in place of those received, all biases';

/** What travels, and what becomes of it. */
export const rows: readonly Feature[] = [
  {
    name: 'Dispatch dtypes',
    ours: 'bf16, f16, fp8_e4m3 with scales, opaque bytes',
    tests: [
      [
        'test/kernels/exchange.test.ts',
        'six ranks, top-4 > the maximum of tokens, distinct experts',
      ],
      [payload, `f16, one rank, i32 choices > ${distinct}`],
      [
        payload,
        `fp8, f32 scales in rows, the last block cut short, extras, i32 choices > ${distinct}`,
      ],
      [payload, `bytes with extras of more words than a warp has lanes > ${distinct}`],
    ],
    peers: {
      deepepV1: ['bf16, fp8_e4m3 with scales', v1.buffer],
      deepepV2: ['bf16, fp8_e4m3 with scales', v2.buffer],
      mscclpp: ['any row of whole 16-byte vectors, also with scales', mscclpp.host],
      nccl: ['bf16', nccl.host],
      flashinfer: ['any bytes', flashinfer.params],
    },
  },
  {
    name: 'Layouts of scales',
    ours: 'f32 or packed UE8M0, by row or by column, also for a block cut short',
    tests: [
      [
        payload,
        `fp8, f32 scales in rows, the last block cut short, extras, i32 choices > ${distinct}`,
      ],
      [payload, `fp8, packed scales in columns, extras of one word > ${distinct}`],
      [payload, `fp8, 56 f32 scales in columns, 8 ranks, i32 choices > ${distinct}`],
    ],
    peers: {
      deepepV1: ['f32 or 32-bit words, any strides in, rows out', v1.host, 498],
      deepepV2: ['f32 or packed UE8M0, any strides in, rows or columns out', v2.buffer],
      mscclpp: ['f32 by row', mscclpp.host],
      nccl: none,
      flashinfer: ['as bytes by row', flashinfer.params],
    },
  },
  {
    name: 'Opaque bytes beside a token',
    ours: '`extraBytes`, a multiple of 4, to 65536',
    tests: [
      [payload, `bytes with extras of more words than a warp has lanes > ${distinct}`],
      [payload, `fp8, packed scales in columns, extras of one word > ${distinct}`],
      ['test/generator/rules.test.ts', 'RULES > kExtraBytes <= 65536'],
    ],
    peers: {
      deepepV1: none,
      deepepV2: none,
      mscclpp: none,
      nccl: none,
      flashinfer: ['to 6 payloads in all', flashinfer.params],
    },
  },
  {
    name: 'Combine dtypes',
    ours: 'bf16, f16, f32; sums in f32, rounded once',
    tests: [
      [combine, `bf16 both ways, 2 biases, top-4 of 8 ranks > ${allBiases}`],
      [combine, `f16 both ways, 1 bias, top-6 > ${allBiases}`],
      [combine, `bf16 to f32, a row in two pieces, 2 biases, top-5 > ${allBiases}`],
      [accuracy, `bf16 > ${nearFp64}`],
      [accuracy, `f16 > ${nearFp64}`],
      [accuracy, `f32 > ${nearFp64}`],
    ],
    peers: {
      deepepV1: ['bf16', v1.launch],
      deepepV2: ['bf16', v2.buffer],
      mscclpp: ['bf16, f32', mscclpp.launch],
      nccl: ['bf16', nccl.host],
      flashinfer: ['bf16, f16; out also fp8, MXFP8, MXFP4, NVFP4', flashinfer.params],
    },
  },
  {
    name: 'Biases in combine',
    ours: 'none, one or two',
    tests: [
      [combine, `bf16 both ways, 2 biases, top-4 of 8 ranks > ${allBiases}`],
      [combine, 'bf16 both ways, 2 biases, top-4 of 8 ranks > one bias'],
      [
        combine,
        'bf16 both ways, 2 biases, top-4 of 8 ranks > calls with weights and biases and calls without them follow each other',
      ],
    ],
    peers: {
      deepepV1: ['none, one or two', v1.buffer],
      deepepV2: ['none, one or two', v2.buffer],
      mscclpp: none,
      nccl: none,
      flashinfer: none,
    },
  },
  {
    name: 'Top-k weights through combine',
    ours: 'summed in f32, per call',
    tests: [
      [combine, `bf16 to f32, a row in two pieces, 2 biases, top-5 > ${allBiases}`],
      [
        combine,
        'bf16 to f32, rows of 64 KiB, top-32 > unequal tokens, none on one rank, rows and weights of tensors',
      ],
      [
        combine,
        'bf16 to f32, a row in two pieces, 2 biases, top-5 > a call without weights gives null for them',
      ],
      [
        'test/kernels/backward.test.ts',
        'the backward passes > combine backward sends gradients along the handle, dispatch backward sums them and those of weights, step 1',
      ],
    ],
    peers: {
      deepepV1: ['per call', v1.buffer],
      deepepV2: ['per call', v2.buffer],
      mscclpp: ['per call', mscclpp.host],
      nccl: ['in the backward pass', 'contrib/nccl_ep/include/nccl_ep.h'],
      flashinfer: none,
    },
  },
];
