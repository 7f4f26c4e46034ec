import type { AddonBackend } from './host.js';

interface Exclusion {
  /** File, or its beginning, under test/. */
  readonly file: string;
  readonly backends: readonly AddonBackend[];
  readonly reason: string;
}

/** Tests that have no meaning in a packed folder; each counts as skipped, with the reason. */
export const exclusions: readonly Exclusion[] = [
  {
    file: 'kernels/planted.test',
    backends: ['cpu', 'cuda'],
    reason: 'plants a fault in the source, which the emulator finds',
  },
  {
    file: 'kernels/explore.test',
    backends: ['cpu', 'cuda'],
    reason: 'compiles verifiers, which run kernels on the emulator',
  },
  {
    file: 'native/backend.test',
    backends: ['cpu', 'cuda'],
    reason: 'compiles the runtime with a backend of its own',
  },
  {
    file: 'native/exit-gate.test',
    backends: ['cpu', 'cuda'],
    reason: 'compiles the gate with a stand-in for the CUDA runtime',
  },
  {
    file: 'kernels/trace.test',
    backends: ['cuda'],
    reason: 'traces of the emulator',
  },
  {
    file: 'kernels/abort.test',
    backends: ['cuda'],
    reason: 'late ranks in virtual time; gpu/suites/late.test has them in real time',
  },
  {
    file: 'native/shortage.test',
    backends: ['cuda'],
    reason: 'limits of memory and threads under which the driver itself does not start',
  },
  {
    file: 'gpu/suites/calls.test',
    backends: ['cpu'],
    reason: 'records CUDA calls',
  },
  {
    file: 'gpu/suites/devices.test',
    backends: ['cpu'],
    reason: 'bad input that only devices can show',
  },
];

export function exclusionOf(file: string, backend: AddonBackend): string | undefined {
  return exclusions.find((one) => file.startsWith(one.file) && one.backends.includes(backend))
    ?.reason;
}
