import type { Feature } from '../feature.js';
import { flashinfer, mscclpp, nccl, none, v1, v2 } from './places.js';

const placement = 'test/kernels/placement.test.ts';
const ready = 'test/ready/ready.test.ts';
const worst = 'test/kernels/worst-tokens.test.ts';
const byExpert = 'test/kernels/expert-major.test.ts';
const thereOnceWaitedFor =
  'are all there for who waited for their source, and for nobody once the group gave up';
const sameBits = 'groups and sums are the model bit for bit';

/** Ways to call, and what results are. */
export const calls: readonly Feature[] = [
  {
    name: 'Dispatch without top-k, from a layout',
    ours: 'per call',
    tests: [
      [
        'test/kernels/payload.test.ts',
        'bytes with extras of more words than a warp has lanes > without top-k: true > unequal tokens, none on one rank, some choices of none',
      ],
      [
        'test/kernels/payload.test.ts',
        'f16, one rank, i32 choices > without top-k: true > the maximum of tokens, distinct experts',
      ],
    ],
    peers: {
      deepepV1: ['per call', v1.buffer],
      deepepV2: none,
      mscclpp: ['per call', mscclpp.host],
      nccl: none,
      flashinfer: none,
    },
  },
  {
    name: 'Cached dispatch: the routing of a handle again',
    ours: 'any number of times, also after other dispatches',
    tests: [
      [
        'test/kernels/cached.test.ts',
        'five ranks, bf16, two live results > a routing used 3 times more',
      ],
      [
        'test/kernels/cached.test.ts',
        'three ranks, fp8 with scales and extras, one live result, credit > a routing used after other dispatches, and combined twice',
      ],
      [
        'test/kernels/cached.test.ts',
        'two ranks, slotted, three live results, credit > calls of both kinds run ahead of each other on ranks that are late in turns',
      ],
      [
        'test/kernels/backward.test.ts',
        'the backward passes > combine backward sends gradients along the handle, dispatch backward sums them and those of weights, step 1',
      ],
    ],
    peers: {
      deepepV1: ['handle in place of top-k', v1.buffer, 383],
      deepepV2: ['handle in place of top-k', v2.buffer],
      mscclpp: ['cached matrices', mscclpp.host],
      nccl: ['routing kept in the handle', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'Results without waiting for counts',
    ours: '`numWorstTokens`: so many rows, −1 behind those that came; too few is an error',
    tests: [
      [worst, 'numWorstTokens > resolves before any other rank has called'],
      [worst, 'numWorstTokens > a few more: exactly so many rows, -1 behind those that came'],
      [
        worst,
        'numWorstTokens > one too few: the next awaited operation of the rank names both numbers, once; the group goes on',
      ],
    ],
    peers: {
      deepepV1: ['`num_worst_tokens`, on one node', v1.buffer, 379],
      deepepV2: ['`do_cpu_sync=False`: room for all that can come', v2.buffer],
      mscclpp: none,
      nccl: ['always: room for all that can come', nccl.api],
      flashinfer: ['always: ranks × tokens rows', flashinfer.api],
    },
  },
  {
    name: 'Expert-major rows',
    ours: 'any alignment, zero padding on request, summed back by combine',
    tests: [
      [byExpert, `bf16, several rows to a step, extras > ${sameBits}`],
      [byExpert, `fp8 with scales in columns to f32, i32 indices, one local expert > ${sameBits}`],
      [byExpert, `bytes in several steps of a warp to f16, top-32 > ${sameBits}`],
    ],
    peers: {
      deepepV1: ['— (alignment rounds the counts only)', v1.kernels, 87],
      deepepV2: ['`do_expand`, alignment, `do_zero_padding`', v2.buffer],
      mscclpp: ['— (alignment rounds the counts only)', mscclpp.kernels],
      nccl: ['alignments of powers of two, zero padding', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'Combine input without a copy',
    ours: 'received rows in place, or a buffer of the window',
    tests: [
      [
        'test/kernels/exchange.test.ts',
        'five ranks, top-6 > unequal tokens, none on one rank, combined from received rows in place',
      ],
      [
        'test/runtime/combine.test.ts',
        'combine > reads what combineInput gave in place; that view is stale afterwards',
      ],
    ],
    peers: {
      deepepV1: none,
      deepepV2: none,
      mscclpp: none,
      nccl: ['registered windows', nccl.api],
      flashinfer: ['`payload_in_workspace`', flashinfer.api],
    },
  },
  {
    name: 'Dispatch results alive at a time',
    ours: '1–4 in the window, by the spec, without a copy',
    tests: [
      [
        placement,
        'credit, one live result > all live results stay whole while ranks run ahead of each other',
      ],
      [placement, 'slotted > all live results stay whole while ranks run ahead of each other'],
      [
        placement,
        'slotted, credit, four live results > all live results stay whole while ranks run ahead of each other',
      ],
      [
        'test/runtime/dispatch.test.ts',
        'dispatch > rotates through the buffers, and views go stale after liveResults further dispatches',
      ],
    ],
    peers: {
      deepepV1: ['any: copied to new tensors', v1.host],
      deepepV2: ['any: copied to new tensors', v2.host],
      mscclpp: ['any: copied to new tensors', mscclpp.host],
      nccl: ["any: in the caller's tensors", nccl.api],
      flashinfer: ['1 in the workspace', flashinfer.api],
    },
  },
  {
    name: 'How received rows lie',
    ours: "compact, or each source's from a place of its own (slotted)",
    tests: [
      [placement, 'slotted > the maximum of tokens, combined from received rows in place'],
      [placement, 'slotted > unequal tokens, none on one rank, combined from a tensor'],
      [
        'test/kernels/exchange.test.ts',
        'four ranks, hidden 2880 > unequal tokens, none on one rank, combined from received rows in place',
      ],
    ],
    peers: {
      deepepV1: ['compact', v1.kernels],
      deepepV2: ['compact', v2.host],
      mscclpp: ['compact', mscclpp.kernels],
      nccl: ['compact', nccl.api],
      flashinfer: ['slotted', flashinfer.api],
    },
  },
  {
    name: 'Ready counters for each source',
    ours: 'for kernels that start on the rows of one source',
    tests: [
      [ready, `compact rows > ${thereOnceWaitedFor}`],
      [ready, `slotted rows > ${thereOnceWaitedFor}`],
      [ready, 'a result says which dispatch of its window it is, also along a handle'],
    ],
    peers: {
      deepepV1: none,
      deepepV2: none,
      mscclpp: none,
      nccl: none,
      flashinfer: none,
    },
  },
];
