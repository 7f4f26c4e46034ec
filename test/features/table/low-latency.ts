import type { Feature } from '../feature.js';
import { mscclpp, nccl, none, v1 } from './places.js';

const both = 'test/kernels/low-latency/both.test.ts';
const determinism = 'test/kernels/low-latency/determinism.test.ts';
const cast = 'test/kernels/low-latency/cast.test.ts';
const graph = 'test/kernels/low-latency/graph.test.ts';
const inFlight = 'test/kernels/low-latency/in-flight.test.ts';
const shapes = 'test/kernels/low-latency/shapes.test.ts';
const split = 'test/kernels/low-latency/split.test.ts';
const stats = 'test/kernels/low-latency/stats.test.ts';
const modelOfCombine = 'test/reference/low-latency-combine.test.ts';
const rules = 'test/generator/rules.test.ts';
const full = 'as many tokens as fit on each rank';
const specialBlocks =
  'zero, tiny, largest, NaN and infinite blocks are cast as the model casts them';
const sameBytes =
  'leaves the same bytes in windows, handles and sums for every seed, number of channels and skew of ranks';
const oneMore = 'one more send than that is refused, by name of the option, and nothing is lost';
const nearFp64 = 'sums are near those in fp64, all together and each within its bound';

/** Low-latency calls, on one host. */
export const lowLatency: readonly Feature[] = [
  {
    name: 'Low latency: ranks, hidden, top-k',
    ours: 'ranks 1–8; hidden of whole vectors to 16384, fp8 of whole blocks; top-k to 32',
    tests: [
      [shapes, `one rank, one vector of hidden, top-1 > ${full}`],
      [shapes, `two ranks, top-32, UE8M0, fp8 both ways > ${full}`],
      [shapes, `three ranks, one block of scales, fp8 both ways > ${full}`],
      [cast, `four ranks, hidden 16384, rounded scales in columns > ${specialBlocks}`],
      [cast, 'four ranks, hidden 16384, rounded scales in columns > and travel so in combine'],
      [shapes, `five ranks, top-6 > ${full}`],
      [shapes, `six ranks, rounded scales in rows, combined as fp8 > ${full}`],
      [shapes, `seven ranks, one channel > ${full}`],
      [shapes, `eight ranks, hidden 16, four in flight > ${full}`],
      [cast, `eight ranks, hidden 7168 > ${specialBlocks}`],
      [rules, 'RULES > kNumTopk <= 32'],
      [rules, 'RULES > kHidden <= 16384'],
      [rules, 'RULES > kLlInputRowBytes % 16 == 0'],
      [rules, 'RULES > kHidden % 128 == 0'],
    ],
    peers: {
      deepepV1: ['eight sizes of hidden, 2048–8192', v1.launch, 113],
      deepepV2: none,
      mscclpp: ['four sizes of hidden, 2560–7168', mscclpp.launch],
      nccl: ['seven sizes of hidden, 2048–8192', nccl.macros, 161],
      flashinfer: none,
    },
  },
  {
    name: 'Low latency: rows that arrive',
    ours: 'bf16, or fp8_e4m3 cast in the kernel with f32 or UE8M0 scales, in rows or columns',
    tests: [
      [shapes, `two ranks, hidden 64 > ${full}`],
      [shapes, `three ranks, one block of scales, fp8 both ways > ${full}`],
      [shapes, `six ranks, rounded scales in rows, combined as fp8 > ${full}`],
      [shapes, `two ranks, top-32, UE8M0, fp8 both ways > ${full}`],
      [cast, `three ranks, one block of scales, fp8 both ways > ${specialBlocks}`],
      [
        cast,
        'eight ranks, hidden 7168 > what arrives is what was sent, within half a unit of fp8, wherever numbers were sent',
      ],
    ],
    peers: {
      deepepV1: ['bf16, fp8_e4m3 with f32 or UE8M0 scales in columns', v1.buffer],
      deepepV2: none,
      mscclpp: ['bf16, fp8_e4m3 with f32 scales', mscclpp.lowLatency],
      nccl: ['bf16', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'Low latency: order of rows',
    ours: 'by expert, source rank, token: the same in every run',
    tests: [
      [
        'test/reference/low-latency-dispatch.test.ts',
        'rows of an expert come by source, then by token; ranges and slots say where',
      ],
      [shapes, 'eight ranks, hidden 16, four in flight > any routing'],
      [determinism, `five ranks, top-6 > ${sameBytes}`],
    ],
    peers: {
      deepepV1: ['by an atomic counter', v1.lowLatency],
      deepepV2: none,
      mscclpp: ['by an atomic counter', mscclpp.lowLatency],
      nccl: none,
      flashinfer: none,
    },
  },
  {
    name: 'Low latency: send and receive apart',
    ours: '`returnRecvHook`; 1, 2 or 4 in flight; one too many is refused',
    tests: [
      [split, 'two ranks, hidden 64 > each half comes with other work before it'],
      [
        split,
        'two ranks, hidden 64 > no block of a send waits for a receive: all ranks have sent before any receives',
      ],
      [split, 'two ranks, hidden 64 > some ranks split their calls, others do not'],
      [inFlight, `seven ranks, one channel: 1 without credit > ${oneMore}`],
      [inFlight, `five ranks, top-6: 2 with credit > ${oneMore}`],
      [inFlight, `eight ranks, hidden 16, four in flight: 4 without credit > ${oneMore}`],
    ],
    peers: {
      deepepV1: ['`return_recv_hook`, at most 2 results', v1.buffer],
      deepepV2: none,
      mscclpp: ['`return_recv_hook`', mscclpp.host],
      nccl: ['`send_only`', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'Low latency: combine',
    ours: 'weighted in the order of k, f32, rounded once; zero copy or any tensor; as bf16, or as fp8 with scales',
    tests: [
      [
        'test/kernels/low-latency/lifetime.test.ts',
        'the same sums from a tensor, from the window and into a tensor that is given',
      ],
      [shapes, 'eight ranks, hidden 16, four in flight > any routing'],
      [shapes, 'two ranks, top-32, UE8M0, fp8 both ways > any routing'],
      [modelOfCombine, 'k order: 2³⁰ + 1 − 2³⁰ in f32'],
      [modelOfCombine, 'another order of k, another sum'],
      [modelOfCombine, `bf16 transport > ${nearFp64}`],
      [modelOfCombine, `fp8_e4m3 transport > ${nearFp64}`],
    ],
    peers: {
      deepepV1: ['`zero_copy`, or logfmt of 10 bits', v1.buffer],
      deepepV2: none,
      mscclpp: ['`zero_copy`', mscclpp.lowLatency],
      nccl: ['in the order of top-k', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'Low latency: graphs',
    ours: 'one operation, an odd number, pairs, mixed with calls one by one',
    tests: [
      [
        graph,
        'three ranks, one block of scales, fp8 both ways > one operation in a graph, replayed between other calls with new routing each time',
      ],
      [
        graph,
        'two ranks, hidden 64 > an odd number of operations in a graph, replayed between other calls with new routing each time',
      ],
      [
        graph,
        'two ranks, hidden 64 > 400 replays of a pair, each with new routing: one launch of each kernel per replay',
      ],
      [graph, 'two ranks, hidden 64 > replays and pairs called one by one, in every order of five'],
    ],
    peers: {
      deepepV1: ['an even number of operations (the buffer index is the host’s)', v1.host],
      deepepV2: none,
      mscclpp: ['an even number of operations (the buffer index is the host’s)', mscclpp.host],
      nccl: ['yes', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'Low latency: statistics',
    ours: 'tokens of each expert over calls, time waited for each rank; per call, where the spec has them',
    tests: [
      [stats, 'five ranks, top-6 > counts of each expert add up over calls: whole calls'],
      [stats, 'five ranks, top-6 > counts of each expert add up over calls: calls with hooks'],
      [
        stats,
        'five ranks, top-6 > time waited for each rank: the late one’s is at least as long as it was late',
      ],
    ],
    peers: {
      deepepV1: ['tokens of each expert, time waited for each rank; per call', v1.host, 1493],
      deepepV2: none,
      mscclpp: none,
      nccl: none,
      flashinfer: none,
    },
  },
  {
    name: 'High throughput and low latency in one group',
    ours: 'in any order, without a clean step',
    tests: [
      [
        both,
        'two ranks, hidden 64 > 30 rounds of both kinds of calls in any order, without waiting or cleaning, ranks late in turns',
      ],
      [
        both,
        'five ranks, top-6 > 30 rounds of both kinds of calls in any order, without waiting or cleaning, ranks late in turns',
      ],
      [both, 'five ranks, top-6 > a clean step between them changes nothing'],
    ],
    peers: {
      deepepV1: ['`clean_low_latency_buffer` in between', v1.buffer],
      deepepV2: none,
      mscclpp: ['`clean_low_latency_buffer` in between', mscclpp.host],
      nccl: ['a mode per group', nccl.api],
      flashinfer: none,
    },
  },
];
