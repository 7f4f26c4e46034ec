import type { Hazard } from '../hazard.js';

const accuracy = 'test/kernels/accuracy.test.ts';
const badInput = 'test/kernels/bad-input.test.ts';
const combine = 'test/kernels/combine-options.test.ts';
const determinism = 'test/kernels/determinism.test.ts';
const environment = 'test/native/environment.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const llLifetime = 'test/kernels/low-latency/lifetime.test.ts';
const llProtocol = 'test/protocol/low-latency-broken.test.ts';
const llShapes = 'test/kernels/low-latency/shapes.test.ts';
const properties = 'test/kernels/properties.test.ts';
const protocol = 'test/protocol/protocol.test.ts';
const rules = 'test/generator/rules.test.ts';
const simt = 'test/simt/simt.test.ts';
const streams = 'test/kernels/streams.test.ts';
const sameBytes =
  'leaves the same bytes in windows and sums for every seed, number of channels and skew of ranks';
const nearFp64 =
  'rows arrive bit for bit, sums are within the rounding of their terms of sums in fp64';

/** Memory, machine, host. */
export const surroundings: readonly Hazard[] = [
  {
    name: 'Reads past memory, races',
    tried: 'lanes beyond the ranks, bytes past a region, missing order, on the emulator',
    tests: [
      [
        'test/kernels/planted.test.ts',
        'a lane beyond the ranks that reads shared memory is found by name',
      ],
      [simt, 'emulator > writes past a region, misaligned or past a word are found'],
      [
        'test/cli/verify.test.ts',
        'correct kernels > runs many schedules and says so, within 80 columns',
      ],
      ['test/cli/verify.test.ts', 'low-latency calls alone > are run in many schedules'],
      ['test/cli/verify.test.ts', 'low-latency calls alone > are tried in every order'],
      [
        'test/cli/verify.test.ts',
        'low-latency calls alone > that tell peers of outputs too early are found, and shown again',
      ],
      ['test/mutants/mutants.test.ts', 'no-fence-before-pull is found'],
    ],
  },
  {
    name: 'Fences and scopes',
    tried: 'proxy fences where bulk copies follow, system scope between GPUs, no incoherent loads',
    tests: [
      [
        'test/generator/sass.test.ts',
        'test/gpu/sass-check.mjs > finds nothing wrong with what nvcc made',
      ],
      [
        'test/generator/sass.test.ts',
        'test/gpu/sass-check.mjs > finds that dispatch lost a proxy fence',
      ],
      [
        'test/generator/sass.test.ts',
        'test/gpu/sass-check.mjs > finds that dispatch lost coherence',
      ],
      [simt, 'emulator > a scope that ends at the device orders nothing across ranks'],
      [
        protocol,
        'a broken protocol is found out > rows pulled without a proxy fence (only a memory model sees it, no interleaving does)',
      ],
      [
        llProtocol,
        'a broken protocol is found out > rows pulled without a proxy fence (only a memory model sees it, no interleaving does)',
      ],
      [
        llProtocol,
        'a broken protocol is found out > rows sent without a proxy fence after the credit (only a memory model sees it, no interleaving does)',
      ],
    ],
  },
  {
    name: 'Launches that no GPU takes',
    tried: 'threads and shared memory checked when generated and when launched',
    tests: [
      [rules, 'RULES > kNumThreads <= 1024'],
      [rules, 'RULES > kSharedBytes <= kSharedBytesLimit'],
      [rules, 'RULES > kNumLlChannels <= 128'],
      ['test/generator/properties.test.ts', 'shared memory > fits for every legal shape'],
      [simt, 'emulator > launches that no GPU takes are refused'],
      [simt, "emulator > a grid that must be resident at once deadlocks where it can't be"],
    ],
  },
  {
    name: 'The event loop, and memory in use',
    tried: 'timers during waits, forgotten tensors, an exit with work in flight',
    tests: [
      [badInput, 'a timer keeps firing while ranks wait'],
      [streams, 'a timer keeps firing while a peer is late'],
      [
        'test/kernels/forgotten.test.ts',
        'a loop that disposes nothing goes on where 12 tensors fill the arena',
      ],
      [environment, 'a process can exit with work in flight'],
      [environment, 'a worker can be terminated with work in flight'],
      [llLifetime, 'timers fire while calls wait for a late rank'],
      [
        llLifetime,
        'tensors that nobody refers to are not taken from calls that are under way: whole calls',
      ],
      [
        llLifetime,
        'tensors that nobody refers to are not taken from calls that are under way: calls with hooks',
      ],
    ],
  },
  {
    name: 'The same bits each time',
    tried:
      'every byte of windows and sums, under other schedules, numbers of channels and skews of ranks; low latency: every bit of rows, handles and sums',
    tests: [
      [determinism, `six ranks, all options of compact rows > ${sameBytes}`],
      [determinism, `seven ranks, all options of slotted rows > ${sameBytes}`],
      [determinism, `five ranks, hidden 8176, f16 summed in f32 > ${sameBytes}`],
      [exchange, 'eight ranks, hidden 7168 > any number of channels at once gives the same bytes'],
      [
        combine,
        'bf16 both ways, 2 biases, top-4 of 8 ranks > any number of channels at once gives the same bits',
      ],
      [llShapes, 'eight ranks, hidden 16, four in flight > any routing'],
      [
        'test/kernels/low-latency/determinism.test.ts',
        'five ranks, top-6 > leaves the same bytes in windows, handles and sums for every seed, number of channels and skew of ranks',
      ],
    ],
  },
  {
    name: 'Tolerances that hide errors',
    tried:
      'random rows and the reference’s routings, on both ends: every bit; fp64 sums within their rounding',
    tests: [
      [
        properties,
        'eight ranks, hidden 7168 > dispatch and combine give the bits of the model for any routing',
      ],
      [accuracy, `bf16 > ${nearFp64}`],
      [accuracy, `f16 > ${nearFp64}`],
      [accuracy, `f32 > ${nearFp64}`],
      [
        'test/kernels/reference-routing.test.ts',
        "the reference's own routing on 4 ranks: counts [ 371, 365, 380, 370 ], combine exact",
      ],
      ['test/reference/combine.test.ts', 'f32 additions in ascending order'],
      ['test/reference/combine.test.ts', 'one rounding, at the end'],
      [llShapes, 'two ranks, hidden 64 > any routing'],
      [llShapes, 'three ranks, one block of scales, fp8 both ways > any routing'],
      [
        'test/kernels/low-latency/cast.test.ts',
        'eight ranks, hidden 7168 > what arrives is what was sent, within half a unit of fp8, wherever numbers were sent',
      ],
      [
        'test/reference/low-latency-combine.test.ts',
        'bf16 transport > sums are near those in fp64, all together and each within its bound',
      ],
      [
        'test/reference/low-latency-combine.test.ts',
        'fp8_e4m3 transport > sums are near those in fp64, all together and each within its bound',
      ],
    ],
  },
];
