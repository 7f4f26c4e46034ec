import type { Feature } from '../feature.js';
import { flashinfer, mscclpp, nccl, none, v1, v2 } from './places.js';

const badInput = 'test/kernels/bad-input.test.ts';
const cached = 'test/kernels/cached.test.ts';

/** What it takes to run it, and what happens when something goes wrong. */
export const operating: readonly Feature[] = [
  {
    name: 'Exact bytes of memory before the build',
    ours: 'every region, as constants and by `inspect`',
    tests: [
      [
        'test/kernels/smoke.test.ts',
        'one rank > the window has the bytes that its regions add up to',
      ],
      [
        'test/generator/wrapper.test.ts',
        'sizes > have a region with its bytes for everything that a spec asks for',
      ],
      [
        'test/cli/main.test.ts',
        'epgen inspect > prints plan, window, channels and reuse within 80 columns',
      ],
    ],
    peers: {
      deepepV1: ['a hint, for top-128 and 128 scales', v1.config],
      deepepV2: ['a hint, in steps of 2 MiB', v2.buffer],
      mscclpp: ['a hint', mscclpp.config],
      nccl: ['handles only', nccl.api],
      flashinfer: ['per rank, by a function', flashinfer.api],
    },
  },
  {
    name: 'Timeouts',
    ours: 'a deadline per group; an error says who waited where for whom; process and group live on',
    tests: [
      [
        badInput,
        'ranks awaited one after the other > time out; the error names the ranks that never called, and how to call',
      ],
      [
        badInput,
        'ranks awaited one after the other > leave the group aborted until it recovers, and then as good as new',
      ],
      [badInput, 'a slow rank under the deadline is no error'],
      [
        'test/runtime/group.test.ts',
        'errors of the addon > says who waited for whom, who never called, and how to call',
      ],
      [
        'test/kernels/low-latency/abort.test.ts',
        'five ranks, top-6 > a rank never comes: the others are told which one',
      ],
      [
        'test/kernels/low-latency/abort.test.ts',
        'five ranks, top-6 > a rank comes too late to combine: cleanLowLatencyBuffer, then right results',
      ],
    ],
    peers: {
      deepepV1: ['100 s, then trap; two waits have none', v1.kernels, 430],
      deepepV2: ['set per buffer, then trap', v2.waits, 31],
      mscclpp: ['100 s, or 10 s when it is built, then trap', mscclpp.readme],
      nccl: ['set per group', nccl.api],
      flashinfer: ['about 300 s, then trap', flashinfer.kernels, 212],
    },
  },
  {
    name: 'Host never blocked',
    ours: 'counts come through promises, timers keep firing',
    tests: [
      [badInput, 'a timer keeps firing while ranks wait'],
      ['test/kernels/streams.test.ts', 'a timer keeps firing while a peer is late'],
    ],
    peers: {
      deepepV1: ['spins for counts, but with `num_worst_tokens`', v1.host],
      deepepV2: ['spins for counts, but with `do_cpu_sync=False`', v2.buffer],
      mscclpp: ['spins for counts', mscclpp.host],
      nccl: ['counts into tensors, with the handle', nccl.api],
      flashinfer: ['no counts on the host', flashinfer.api],
    },
  },
  {
    name: 'Compiler at run time',
    ours: 'none: an addon per spec',
    tests: [
      ['test/runtime/open-module.test.ts', 'openModule > opens the addon beside the module'],
      ['test/package/package.test.ts', 'the installed package > runs from an ES module'],
    ],
    peers: {
      deepepV1: ['none', v1.setup],
      deepepV2: ['nvcc, at the first call of each shape', v2.compiler],
      mscclpp: ['none', mscclpp.readme],
      nccl: ['nvcc, for high throughput', nccl.compiler],
      flashinfer: ['once, or a built wheel', flashinfer.api],
    },
  },
  {
    name: 'Same kernels on a CPU, with a race checker',
    ours: 'races, deadlocks and late stores found; every order of small sequences tried',
    tests: [
      [
        'test/cli/verify.test.ts',
        'correct kernels > runs many schedules and says so, within 80 columns',
      ],
      [
        'test/cli/verify.test.ts',
        'a kernel that announces rows before they are written > is found, and the command that it prints shows it again',
      ],
      ['test/kernels/explore.test.ts', 'every order of the smallest kernels > two channels'],
      [
        'test/litmus/litmus.test.ts',
        'litmus tests of the memory model > no schedule shows an outcome that PTX forbids',
      ],
    ],
    peers: {
      deepepV1: none,
      deepepV2: none,
      mscclpp: none,
      nccl: none,
      flashinfer: none,
    },
  },
  {
    name: 'Stale results and foreign handles refused',
    ours: 'before anything is launched',
    tests: [
      [
        'test/runtime/combine.test.ts',
        'combine > refuses received rows that went to a later dispatch',
      ],
      ['test/runtime/combine.test.ts', 'combine > refuses a handle of another rank'],
      [
        'test/runtime/dispatch.test.ts',
        'dispatch > refuses another spec before anything is launched',
      ],
      [cached, 'refused before anything is launched: > the handle of another group'],
      [cached, 'refused before anything is launched: > a handle from before a recovery'],
      [
        'test/kernels/low-latency/bad-input.test.ts',
        'a combine is refused, with nothing launched on any rank: > a handle of another kind of dispatch, both ways',
      ],
      [
        'test/kernels/low-latency/in-flight.test.ts',
        'five ranks, top-6: 2 with credit > results live until that many more dispatches were enqueued, and are stale from then on',
      ],
    ],
    peers: {
      deepepV1: ['— (shapes only)', v1.host],
      deepepV2: ['— (shapes only)', v2.host],
      mscclpp: ['— (shapes only)', mscclpp.host],
      nccl: none,
      flashinfer: ['a dispatch without the combine before it', flashinfer.api],
    },
  },
];
