// One run of the low-latency benchmark: the wire's limit, then every operation of several numbers of tokens.
import { EpgenArgumentError, EpgenUnsupportedError } from '../errors.js';
import type { Spec } from '../spec-types.js';
import {
  type BenchInput,
  type BenchResult,
  type RunDefaults,
  runOf,
  wholeNumber,
} from './bench.js';
import type { LowLatencyOperation } from './low-latency-calls.js';
import { type LowLatencyNumbers, lowLatencyNumbersOf } from './low-latency-numbers.js';
import { devicesFor, loadCuda, machineOf, measuredAddon, openBenchGroup } from './machine.js';
import { type Samples, samplesOf } from './statistics.js';
import { LowLatencyTimer, type LowLatencyTimes } from './time-low-latency.js';
import { measureWire, type Wire } from './wire.js';

/** One line of the report. */
export interface LowLatencyLine extends LowLatencyTimes {
  readonly us: Samples;
  /** Bytes of all selections over the median, as DeepEP counts them; of a pair both ways. 1e9 B/s. */
  readonly gbPerS: number;
  /** Bytes that leave a rank for others, and what the wire takes for them. */
  readonly remoteBytes: number;
  readonly wireUs: number | null;
}

export interface LowLatencyBenchResult
  extends Omit<BenchResult, 'numTokens' | 'operations' | 'windows'> {
  readonly numWindows: number;
  /** µs between events around an empty kernel. */
  readonly empty: Samples;
  readonly lines: readonly LowLatencyLine[];
}

export const LL_RUN: RunDefaults = { numWindows: 3, minWindows: 1, numRounds: 100 };
/** Tokens of a rank that are timed where no number is asked, as far as it may send as many. */
export const LL_TOKENS: readonly number[] = [1, 16, 64, 128, 256];
/** The wire is measured with as much as high-throughput calls move. */
const WIRE_TOKENS = 4096;
const NOTE =
  'samples: µs of one call, slowest rank of a round, events on each stream behind a start line of all devices; a graph of 16 ' +
  'calls is divided by 16. Each window is a routing of its own. gbPerS: selections × (H + H / 32 + 16) bytes for fp8 ' +
  'dispatch, × 2H else (test_low_latency.py of DeepEP), own experts included. wireUs: bytes for others over the best rate ' +
  'of the wire. 1 GB is 1e9 bytes.';

/** Runs the benchmark. Throws {@link EpgenUnsupportedError} for a spec without low-latency calls, or with too few GPUs. */
export async function benchLowLatency(input: BenchInput): Promise<LowLatencyBenchResult> {
  const { spec, sizes, addonPath, probePath, say = () => undefined } = input;
  const numbers = lowLatencyNumbersOf(spec, sizes);
  if (numbers === undefined) {
    throw new EpgenUnsupportedError(`Expected ${spec.name} to have low-latency calls: ll is false`);
  }
  const tokens = tokensOf(numbers, input.numTokens);
  const { numWindows, numRounds } = runOf(input, LL_RUN);
  const addon = loadCuda(addonPath);
  const devices = devicesFor(spec, addon);
  let wire: Wire | null = null;
  if (probePath !== undefined) {
    say('wire');
    const shape = { numDevices: spec.ranks, numTokens: WIRE_TOKENS, rowBytes: spec.hidden * 2 };
    wire = measureWire({ program: probePath, ...shape });
  }
  const group = openBenchGroup(
    addon,
    devices.map(({ ordinal }) => ordinal),
  );
  try {
    const seed = input.seed ?? 1;
    const timer = await LowLatencyTimer.open({ group, spec, numbers, numWindows, numRounds, seed });
    const empty = samplesOf(await timer.emptyUs());
    const lines: LowLatencyLine[] = [];
    for (const numTokens of tokens) {
      say(`${numTokens} tokens`);
      const times = await timer.times(numTokens);
      lines.push(...times.map((one) => lineOf(spec, numbers, one, wire)));
    }
    return {
      tool: 'epgen bench',
      calls: 'll',
      date: new Date().toISOString(),
      command: input.command,
      commit: input.sources?.commit ?? null,
      dirty: input.sources?.dirty ?? [],
      spec,
      specHash: addon.specHash,
      addon: measuredAddon(addonPath, addon),
      machine: machineOf(devices),
      note: NOTE,
      numWindows,
      empty,
      lines,
      wire,
    };
  } finally {
    await group.dispose();
  }
}

function tokensOf(
  { maxTokensPerRank }: LowLatencyNumbers,
  asked: number | undefined,
): readonly number[] {
  if (asked === undefined) return LL_TOKENS.filter((numTokens) => numTokens <= maxTokensPerRank);
  if (wholeNumber('--tokens', asked, 1) <= maxTokensPerRank) return [asked];
  throw new EpgenArgumentError(
    `Expected --tokens to be at most ll.maxTokensPerRank, ${maxTokensPerRank}, but received ${asked}`,
  );
}

function lineOf(
  spec: Spec,
  numbers: LowLatencyNumbers,
  times: LowLatencyTimes,
  wire: Wire | null,
): LowLatencyLine {
  const { operation, selections, remoteSelections, samples } = times;
  const us = samplesOf(samples);
  const countedBytes = bytesOf(operation, countedBytesOf(spec));
  const remoteBytes = remoteSelections * bytesOf(operation, numbers);
  const best = Math.max(...(wire?.rates ?? []).map(({ gbPerS }) => gbPerS));
  return {
    ...times,
    samples: samples.map((one) => Math.round(one * 100) / 100),
    us,
    gbPerS: (selections * countedBytes) / us.median / 1e3,
    remoteBytes,
    wireUs: wire === null ? null : remoteBytes / best / 1e3,
  };
}

/** Bytes of a selection, each way. */
type SelectionBytes = Pick<LowLatencyNumbers, 'dispatchBytes' | 'combineBytes'>;

function bytesOf(
  operation: LowLatencyOperation,
  { dispatchBytes, combineBytes }: SelectionBytes,
): number {
  if (operation === 'dispatch') return dispatchBytes;
  return operation === 'pair' ? dispatchBytes + combineBytes : combineBytes;
}

/** As DeepEP counts them. */
function countedBytesOf({ hidden, ll }: Spec): SelectionBytes {
  const combineBytes = 2 * hidden;
  const isFp8 = ll && ll.dtype === 'fp8_e4m3';
  return { combineBytes, dispatchBytes: isFp8 ? hidden + hidden / 32 + 16 : combineBytes };
}
