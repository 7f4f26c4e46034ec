// One run of the benchmark: the wire's limit, then the operations, then everything that was seen.
import { EpgenArgumentError, EpgenUnsupportedError } from '../errors.js';
import { hasHighThroughput } from '../high-throughput.js';
import type { Sizes, Spec } from '../spec-types.js';
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
  readonly spec: Spec;
  readonly sizes: Sizes;
  /** The compiled cuda addon. */
  readonly addonPath: string;
  /** The compiled probe; without it no limit of the wire is measured. */
  readonly probePath?: string | undefined;
  /** Of each rank. Default: as many as it may send; of low-latency calls several numbers, one after the other. */
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
  /** Which calls of the spec were timed: the section that they come from. */
  readonly calls: 'ht' | 'll';
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

/** How much is timed where nothing is asked. */
export interface RunDefaults {
  readonly numWindows: number;
  /** Windows that a run has to have. */
  readonly minWindows: number;
  readonly numRounds: number;
}

export const HT_RUN: RunDefaults = { numWindows: 5, minWindows: 3, numRounds: 20 };

const NOTE =
  'us: [round][rank], events on each stream around one call, behind a start line of all devices. Operations: ' +
  'slowest rank of a round, median over rounds, then over windows; one window is one routing. 1 GB is 1e9 bytes.';

/** Runs the benchmark. Throws {@link EpgenUnsupportedError} for a spec without high-throughput calls, or with too few GPUs. */
export async function bench(input: BenchInput): Promise<BenchResult> {
  if (!hasHighThroughput(input)) {
    throw new EpgenUnsupportedError(
      `Expected ${input.spec.name} to have high-throughput calls: ht is false`,
    );
  }
  const { spec, sizes, addonPath, probePath, say = () => undefined } = input;
  const { maxTokensPerRank } = spec.ht;
  const numTokens = wholeNumber('--tokens', input.numTokens ?? maxTokensPerRank, 1);
  const { numWindows, numRounds } = runOf(input, HT_RUN);
  if (numTokens > maxTokensPerRank) {
    throw new EpgenArgumentError(
      `Expected --tokens to be at most maxTokensPerRank, ${maxTokensPerRank}, but received ${numTokens}`,
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
    calls: 'ht',
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

/** The result's file name: the day, the calls, the spec and the GPUs. */
export function resultFileName({
  date,
  calls,
  spec,
  machine,
}: Pick<BenchResult, 'date' | 'calls' | 'spec' | 'machine'>): string {
  const gpu = (machine.gpus[0]?.name ?? 'gpu').replace(/^NVIDIA /, '').replace(/[^\w]+/g, '-');
  return `${date.slice(0, 10)}-bench-${calls}-${spec.name}-${spec.ranks}x${gpu}.json`;
}

/** What is asked, or the defaults. */
export function runOf(
  asked: Pick<BenchInput, 'numWindows' | 'numRounds'>,
  defaults: RunDefaults,
): Pick<RunDefaults, 'numWindows' | 'numRounds'> {
  const { numWindows = defaults.numWindows, numRounds = defaults.numRounds } = asked;
  return {
    numWindows: wholeNumber('--windows', numWindows, defaults.minWindows),
    numRounds: wholeNumber('--rounds', numRounds, 1),
  };
}

/** Refuses what is no whole number of at least `least`. */
export function wholeNumber(flag: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new EpgenArgumentError(
    `Expected ${flag} to be a whole number of at least ${least} but received ${value}`,
  );
}
