// One run of the low-latency benchmark: the wire's limit, then every operation of several numbers of tokens.
import { EpgenArgumentError, EpgenUnsupportedError } from '../errors.js';
import type { Sizes, Spec } from '../spec-types.js';
import { type BenchInput, type BenchResult, wholeBetween } from './bench.js';
import { devicesFor, loadCuda, machineOf, measuredAddon } from './machine.js';
import { type Samples, samplesOf } from './statistics.js';
import {
  type LowLatencyOperation,
  LowLatencyTimer,
  type LowLatencyTimes,
} from './time-low-latency.js';
import { measureWire, type Wire } from './wire.js';

export interface LowLatencyBenchInput extends Omit<BenchInput, 'spec' | 'sizes' | 'numTokens'> {
  readonly spec: Spec;
  readonly sizes: Sizes;
  /** Default: 1, 16, 64, 128 and 256, as far as a rank may send as many. */
  readonly numTokens?: readonly number[] | undefined;
}

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

const TOKENS = [1, 16, 64, 128, 256];
const NUM_WINDOWS = 3;
const NUM_ROUNDS = 100;
const DEADLINE_MS = 10_000;
/** The wire is measured with as much as high-throughput calls move. */
const WIRE_TOKENS = 4096;
const NOTE =
  'samples: µs of one call, slowest rank of a round, events on each stream behind a start line of all devices; a graph of 16 ' +
  'calls is divided by 16. Each window is a routing of its own. gbPerS: selections × (H + H / 32 + 16) bytes for fp8 ' +
  'dispatch, × 2H else (test_low_latency.py of DeepEP), own experts included. wireUs: bytes for others over the best rate ' +
  'of the wire. 1 GB is 1e9 bytes.';

/** Runs the benchmark. Throws {@link EpgenUnsupportedError} for a spec without low-latency calls, or with too few GPUs. */
export async function benchLowLatency(input: LowLatencyBenchInput): Promise<LowLatencyBenchResult> {
  const { spec, sizes, addonPath, probePath, say = () => undefined } = input;
  const tokens = tokensOf(spec, input.numTokens);
  const numWindows = wholeBetween('--windows', input.numWindows, NUM_WINDOWS, 1);
  const numRounds = wholeBetween('--rounds', input.numRounds, NUM_ROUNDS, 1);
  const addon = loadCuda(addonPath);
  const devices = devicesFor(spec, addon);
  let wire: Wire | null = null;
  if (probePath !== undefined) {
    say('wire');
    const shape = { numDevices: spec.ranks, numTokens: WIRE_TOKENS, rowBytes: spec.hidden * 2 };
    wire = measureWire({ program: probePath, ...shape });
  }
  const group = addon.openGroup({
    ...{ seed: 0n, deadlineMs: DEADLINE_MS, firstDeadlineMs: 3 * DEADLINE_MS },
    devices: devices.map(({ ordinal }) => ordinal),
  });
  try {
    const seed = input.seed ?? 1;
    const timer = await LowLatencyTimer.open({ group, spec, sizes, numWindows, numRounds, seed });
    const empty = samplesOf(await timer.emptyUs());
    const lines: LowLatencyLine[] = [];
    for (const numTokens of tokens) {
      say(`${numTokens} tokens`);
      const times = await timer.times(numTokens);
      lines.push(...times.map((one) => lineOf(spec, one, wire)));
    }
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

function tokensOf({ name, ll }: Spec, asked: readonly number[] | undefined): readonly number[] {
  if (!ll)
    throw new EpgenUnsupportedError(`Expected ${name} to have low-latency calls: ll is false`);
  if (asked === undefined) return TOKENS.filter((numTokens) => numTokens <= ll.maxTokensPerRank);
  for (const numTokens of asked) {
    wholeBetween('--tokens', numTokens, 1, 1);
    if (numTokens > ll.maxTokensPerRank) {
      throw new EpgenArgumentError(
        `Expected --tokens to be at most ll.maxTokensPerRank, ${ll.maxTokensPerRank}, but received ${numTokens}`,
      );
    }
  }
  return asked;
}

function lineOf(spec: Spec, times: LowLatencyTimes, wire: Wire | null): LowLatencyLine {
  const { operation, selections, remoteSelections, samples } = times;
  const us = samplesOf(samples);
  const bytes = selectionBytes(spec, operation);
  const remoteBytes = remoteSelections * bytes.moved;
  const best = Math.max(...(wire?.rates ?? []).map(({ gbPerS }) => gbPerS));
  return {
    ...times,
    samples: samples.map((one) => Math.round(one * 100) / 100),
    us,
    gbPerS: (selections * bytes.counted) / us.median / 1e3,
    remoteBytes,
    wireUs: wire === null ? null : remoteBytes / best / 1e3,
  };
}

/** Bytes of one selection: as DeepEP counts them, and those that move. */
function selectionBytes({ hidden, ll }: Spec, operation: LowLatencyOperation) {
  const fp8 = hidden + hidden / 32;
  const { dtype, combineDtype } = ll || { dtype: 'bf16', combineDtype: 'bf16' };
  const dispatch =
    dtype === 'fp8_e4m3'
      ? { counted: fp8 + 16, moved: fp8 }
      : { counted: 2 * hidden, moved: 2 * hidden };
  const combine = {
    counted: 2 * hidden,
    moved: combineDtype === 'fp8_e4m3' ? fp8 : 2 * hidden,
  };
  if (operation === 'dispatch') return dispatch;
  if (operation !== 'pair') return combine;
  return {
    counted: dispatch.counted + combine.counted,
    moved: dispatch.moved + combine.moved,
  };
}
