// One run of the benchmark: the wire's limit, then the operations, then everything that was seen.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import type { RawAddon, RawDevice } from '../addon-types.js';
import { EpgenArgumentError, EpgenToolError, EpgenUnsupportedError } from '../errors.js';
import type { Sizes, Spec } from '../spec-types.js';
import type { Sources } from './git-state.js';
import {
  OPERATIONS,
  type OperationTimes,
  timeOperations,
  timesOf,
  type Window,
} from './time-operations.js';
import { measureWire, type Wire } from './wire.js';

export interface BenchInput {
  readonly spec: Spec;
  readonly sizes: Sizes;
  /** The compiled cuda addon. */
  readonly addonPath: string;
  /** The compiled probe; without it no limit of the wire is measured. */
  readonly probePath?: string | undefined;
  /** Default: as many as a rank may send. */
  readonly numTokens?: number | undefined;
  readonly numWindows?: number | undefined;
  readonly numRounds?: number | undefined;
  readonly seed?: number | undefined;
  readonly sources: Sources | undefined;
  /** What was typed. */
  readonly command: string;
  say?(text: string): void;
}

/** Everything that a run saw; what goes to the results file. */
export interface BenchResult {
  readonly tool: 'epgen bench';
  readonly date: string;
  readonly command: string;
  readonly commit: string | null;
  readonly dirty: readonly string[];
  readonly spec: Spec;
  readonly specHash: string;
  readonly addon: { readonly path: string; readonly sha256: string; readonly arch: string };
  readonly machine: Machine;
  readonly numTokens: number;
  readonly note: string;
  readonly operations: readonly OperationTimes[];
  /** Null where no probe was given. */
  readonly wire: Wire | null;
  readonly windows: readonly Window[];
}

interface Machine {
  readonly cpu: string;
  readonly numCores: number;
  readonly kernel: string;
  readonly node: string;
  /** As nvidia-smi tells; null where it is not installed. */
  readonly driver: string | null;
  readonly clocks: readonly string[];
  readonly gpus: readonly { readonly ordinal: number; readonly name: string }[];
}

const NUM_WINDOWS = 5;
const MIN_WINDOWS = 3;
const NUM_ROUNDS = 20;
const NOTE =
  'us: [round][rank], events on each stream around one call, behind a start line of all devices. Operations: ' +
  'slowest rank of a round, median over rounds, then over windows; one window is one routing. 1 GB is 1e9 bytes.';

/** Runs the benchmark. Throws {@link EpgenUnsupportedError} on a machine with fewer GPUs than ranks. */
export async function bench(input: BenchInput): Promise<BenchResult> {
  const { spec, sizes, addonPath, probePath, say = () => undefined } = input;
  const numTokens = wholeBetween('--tokens', input.numTokens, spec.ht.maxTokensPerRank, 1);
  const numWindows = wholeBetween('--windows', input.numWindows, NUM_WINDOWS, MIN_WINDOWS);
  const numRounds = wholeBetween('--rounds', input.numRounds, NUM_ROUNDS, 1);
  if (numTokens > spec.ht.maxTokensPerRank) {
    throw new EpgenArgumentError(
      `Expected --tokens to be at most maxTokensPerRank, ${spec.ht.maxTokensPerRank}, but received ${numTokens}`,
    );
  }
  const addon = loadCuda(addonPath);
  const devices = devicesFor(spec, addon);

  const rowBytes = spec.hidden * 2;
  let wire: Wire | null = null;
  if (probePath !== undefined) {
    say('wire');
    const shape = { numDevices: spec.ranks, numTokens, rowBytes };
    wire = measureWire({ program: probePath, ...shape });
  }
  const windows = await timeOperations({
    ...{ addon, spec, sizes, numTokens, numWindows, numRounds },
    seed: input.seed ?? 1,
    devices: devices.map(({ ordinal }) => ordinal),
    onWindow: () => say('window'),
  });
  return {
    tool: 'epgen bench',
    date: new Date().toISOString(),
    command: input.command,
    commit: input.sources?.commit ?? null,
    dirty: input.sources?.dirty ?? [],
    spec,
    specHash: addon.specHash,
    addon: {
      path: addonPath,
      sha256: createHash('sha256').update(readFileSync(addonPath)).digest('hex'),
      arch: addon.arch,
    },
    machine: machineOf(devices),
    numTokens,
    note: NOTE,
    operations: OPERATIONS.map((operation) => timesOf(operation, windows, rowBytes)),
    wire,
    windows,
  };
}

/** The result's file name: the day, the spec and the GPUs. */
export function resultFileName({ date, spec, machine }: BenchResult): string {
  const gpu = (machine.gpus[0]?.name ?? 'gpu').replace(/^NVIDIA /, '').replace(/[^\w]+/g, '-');
  return `${date.slice(0, 10)}-bench-${spec.name}-${spec.ranks}x${gpu}.json`;
}

function loadCuda(path: string): RawAddon {
  let addon: RawAddon;
  try {
    addon = createRequire(import.meta.url)(path) as RawAddon;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EpgenToolError(`Expected to load ${path}, but Node could not: ${reason}`, {
      cause: error,
    });
  }
  if (addon.backend === 'cuda') return addon;
  throw new EpgenUnsupportedError(
    `Expected an addon of the cuda backend but ${path} is of ${addon.backend}: times of an emulated machine mean nothing`,
  );
}

function devicesFor({ name, ranks }: Spec, addon: RawAddon): readonly RawDevice[] {
  const probe = addon.probe();
  const devices = probe?.devices ?? [];
  const reason = probe?.reason;
  if (devices.length >= ranks) return devices.slice(0, ranks);
  const found = devices.length === 0 ? `none${reason ? `: ${reason}` : ''}` : `${devices.length}`;
  throw new EpgenUnsupportedError(
    `Expected ${ranks} GPUs, one for each rank of ${name}, but found ${found}`,
    { hint: 'A benchmark runs on GPUs only; run it where they are.' },
  );
}

function machineOf(gpus: readonly RawDevice[]): Machine {
  const [first] = os.cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    numCores: os.cpus().length,
    kernel: os.release(),
    node: process.version,
    driver: nvidiaSmi('driver_version')[0] ?? null,
    clocks: nvidiaSmi('clocks.sm,clocks.mem'),
    gpus,
  };
}

function nvidiaSmi(fields: string): string[] {
  try {
    const args = [`--query-gpu=${fields}`, '--format=csv,noheader'];
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync('nvidia-smi', args, { encoding: 'utf8', stdio }).trim().split('\n');
  } catch {
    return [];
  }
}

function wholeBetween(
  flag: string,
  value: number | undefined,
  fallback: number,
  least: number,
): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value >= least) return value;
  throw new EpgenArgumentError(
    `Expected ${flag} to be a whole number of at least ${least} but received ${value}`,
  );
}
