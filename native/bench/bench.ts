// One run of the benchmark: the wire's limit, then the operations, then everything that was seen.
import { EpgenArgumentError } from '../errors.js';
import type { HighThroughputSizes, HighThroughputSpec, Spec } from '../spec-types.js';
import type { Sources } from './git-state.js';
import {
  devicesFor,
  loadCuda,
  type Machine,
  type MeasuredAddon,
  machineOf,
  measuredAddon,
} from './machine.js';
import {
  OPERATIONS,
  type OperationTimes,
  timeOperations,
  timesOf,
  type Window,
} from './time-operations.js';
import { measureWire, type Wire } from './wire.js';

export interface BenchInput {
  readonly spec: HighThroughputSpec;
  readonly sizes: HighThroughputSizes;
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
  readonly addon: MeasuredAddon;
  readonly machine: Machine;
  readonly numTokens: number;
  readonly note: string;
  readonly operations: readonly OperationTimes[];
  /** Null where no probe was given. */
  readonly wire: Wire | null;
  readonly windows: readonly Window[];
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
    addon: measuredAddon(addonPath, addon),
    machine: machineOf(devices),
    numTokens,
    note: NOTE,
    operations: OPERATIONS.map((operation) => timesOf(operation, windows, rowBytes)),
    wire,
    windows,
  };
}

/** The result's file name: the day, the spec and the GPUs. */
export function resultFileName({
  date,
  spec,
  machine,
}: Pick<BenchResult, 'date' | 'spec' | 'machine'>): string {
  const gpu = (machine.gpus[0]?.name ?? 'gpu').replace(/^NVIDIA /, '').replace(/[^\w]+/g, '-');
  return `${date.slice(0, 10)}-bench-${spec.name}-${spec.ranks}x${gpu}.json`;
}

/** A whole number of at least `least`, or the default. */
export function wholeBetween(
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
