import type { Feature } from '../feature.js';
import { flashinfer, mscclpp, nccl, none, v1, v2 } from './places.js';

const streams = 'test/kernels/streams.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const determinism = 'test/kernels/determinism.test.ts';
const graph = 'test/kernels/graph.test.ts';
const sameBytes =
  'leaves the same bytes in windows and sums for every seed, number of channels and skew of ranks';
const anyChannels = 'any number of channels at once gives the same bytes';

/** How calls run beside other work. */
export const running: readonly Feature[] = [
  {
    name: 'Streams, previous event, async finish',
    ours: 'any stream per call, `previousEvent`, `asyncFinish`',
    tests: [
      [streams, 'a chain of asynchronous calls, each after the event of the one before'],
      [streams, 'stream objects order calls on both sides'],
      [streams, 'previousEvent takes the place of what the own stream has'],
      [streams, 'copies of an asynchronous dispatch are there at its event'],
    ],
    peers: {
      deepepV1: ['a stream per buffer, `previous_event`, `async_finish`', v1.buffer],
      deepepV2: [
        'a stream per buffer, `previous_event` (also before the epilogue), async',
        v2.buffer,
      ],
      mscclpp: ['a stream per buffer, `previous_event`, async', mscclpp.host],
      nccl: ['any stream per call', nccl.api],
      flashinfer: ['the current stream', flashinfer.api],
    },
  },
  {
    name: 'Operations in flight',
    ours: 'one per window, several windows to a group',
    tests: [
      [streams, 'two windows in flight at once, with different contents'],
      [streams, 'windows run at once: one that waits for a late peer does not hold up the other'],
      [
        'test/kernels/graph-streams.test.ts',
        'a graph over two windows, replayed between calls on either',
      ],
      [
        'test/kernels/mixed-calls.test.ts',
        'six ranks, all options of compact rows > 150 calls of any kind with 0, 1 or 2 combines, enqueued without waiting in 2 windows, ranks late in turns',
      ],
    ],
    peers: {
      deepepV1: ['one per buffer', v1.buffer],
      deepepV2: ['one per buffer', v2.buffer],
      mscclpp: ['one per buffer', mscclpp.host],
      nccl: ['handles share the buffers of their group', nccl.api],
      flashinfer: ['one: dispatch, then its combine', flashinfer.api],
    },
  },
  {
    name: 'Multiprocessors per call',
    ours: 'any number up to the channels of the spec, by call',
    tests: [
      [exchange, `three ranks, hidden 2880 > ${anyChannels}`],
      [exchange, `four ranks, more channels than tokens > ${anyChannels}`],
      [exchange, `eight ranks, hidden 16 > ${anyChannels}`],
    ],
    peers: {
      deepepV1: ['an even number, by call', v1.buffer],
      deepepV2: ['by call, or from a model of the bandwidths', v2.buffer],
      mscclpp: ['an even number, by call', mscclpp.host],
      nccl: ['a limit per group', nccl.api],
      flashinfer: none,
    },
  },
  {
    name: 'CUDA graphs',
    ours: 'dispatch and combine, any number of each: epochs are on the device',
    tests: [
      [graph, 'three ranks > 1000 replays of a pair, each with new routing'],
      [graph, 'liveResults 2 > replays and pairs called one by one, in every order of six'],
      [
        graph,
        'liveResults 3 > an odd number of operations in a graph, replayed between other calls with new routing each time',
      ],
      [
        'test/kernels/graph-life.test.ts',
        'what goes wrong in a replay > a rank that comes too late: a timeout that names the wait, then a stale graph',
      ],
    ],
    peers: {
      deepepV1: ['with `num_worst_tokens` or a cached handle', v1.buffer],
      deepepV2: ['with `do_cpu_sync=False`', v2.buffer],
      mscclpp: ['— (the host passes the slot of each barrier)', mscclpp.kernels],
      nccl: ['with sizes given beforehand', nccl.api],
      flashinfer: ['flag on the device', flashinfer.params],
    },
  },
  {
    name: 'Same order, same bits each time',
    ours: 'always: by source rank, then token; sums in rank order',
    tests: [
      [determinism, `six ranks, all options of compact rows > ${sameBytes}`],
      [determinism, `seven ranks, all options of slotted rows > ${sameBytes}`],
      [determinism, `five ranks, hidden 8176, f16 summed in f32 > ${sameBytes}`],
      [exchange, `eight ranks, hidden 7168 > ${anyChannels}`],
      [
        'test/kernels/properties.test.ts',
        'eight ranks, hidden 16 > dispatch and combine give the bits of the model for any routing',
      ],
    ],
    peers: {
      deepepV1: ['always', v1.kernels],
      deepepV2: ['on request', v2.buffer],
      mscclpp: ['always', mscclpp.kernels],
      nccl: none,
      flashinfer: ['— (slots from an atomic counter)', flashinfer.params],
    },
  },
];
