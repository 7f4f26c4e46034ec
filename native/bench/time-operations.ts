// Times dispatch and combine on GPUs. Below the runtime's classes: between two calls nothing may allocate or wait.
import type { RawAddon, RawGroup } from '../addon-types.js';
import type { HighThroughputSizes, HighThroughputSpec } from '../spec-types.js';
import { randomRows, uniformRouting } from './routing.js';
import { mean, median, type Spread, spreadOf } from './statistics.js';

export interface TimingInput {
  readonly addon: RawAddon;
  readonly spec: HighThroughputSpec;
  readonly sizes: HighThroughputSizes;
  readonly devices: readonly number[];
  readonly numTokens: number;
  readonly numWindows: number;
  /** Timed rounds of a window: one dispatch and one combine each. */
  readonly numRounds: number;
  readonly seed: number;
  onWindow?(window: Window): void;
}

/** One routing, and what its rounds took. */
export interface Window {
  readonly seed: number;
  /** [rank] rows that leave it for others in a dispatch, and that it fetches from others in a combine. */
  readonly remoteRows: readonly number[];
  /** [round][rank] µs */
  readonly dispatch: readonly (readonly number[])[];
  readonly combine: readonly (readonly number[])[];
}

export type Operation = 'dispatch' | 'combine';
export const OPERATIONS: readonly Operation[] = ['dispatch', 'combine'];

/** One operation over all windows. A round takes as long as its slowest rank. */
export interface OperationTimes {
  readonly operation: Operation;
  /** Of the windows' medians. */
  readonly us: Spread;
  /** The same of the mean over ranks. */
  readonly meanRankUs: Spread;
  /** Bytes that leave a rank for others, mean over ranks and windows. */
  readonly remoteBytes: number;
  /** `remoteBytes` over the median, in 1e9 B/s. */
  readonly gbPerS: number;
}

const NUM_INPUTS = 2;
const NUM_WARM_UP_ROUNDS = 3;
/** Rounds that are enqueued at once: each dispatch holds one of a rank's 16 count records until it ends. */
const MAX_ENQUEUED_ROUNDS = 12;
/** Enough for JavaScript to enqueue a window while the devices still wait. */
const RUNWAY_NS = 30_000_000;
const DEADLINE_MS = 10_000;

/** What a rank's calls use. Inputs, handles and results take turns, so that no call finds its data in a cache. */
interface RankMemory {
  readonly x: readonly bigint[];
  readonly handle: readonly bigint[];
  readonly out: readonly bigint[];
  readonly topkIdx: bigint;
  readonly topkWeights: bigint;
}

/** Opens a group on GPUs, times windows of rounds, each with a fresh uniform routing, and closes it. */
export async function timeOperations(input: TimingInput): Promise<Window[]> {
  const { addon, devices, numWindows, seed } = input;
  const group = addon.openGroup({
    seed: 0n,
    deadlineMs: DEADLINE_MS,
    firstDeadlineMs: 3 * DEADLINE_MS,
    devices,
  });
  try {
    const memory = await prepare(group, input);
    const windows: Window[] = [];
    for (let i = 0; i < numWindows; i++) {
      const window = await timeWindow(group, memory, input, seed + i, i);
      input.onWindow?.(window);
      windows.push(window);
    }
    return windows;
  } finally {
    await group.dispose();
  }
}

export function timesOf(operation: Operation, windows: readonly Window[], rowBytes: number) {
  const overWindows = (ofRound: (ranks: readonly number[]) => number) =>
    spreadOf(windows.map((window) => median(window[operation].map(ofRound))));
  const us = overWindows((ranks) => Math.max(...ranks));
  const remoteBytes = mean(windows.map((window) => mean(window.remoteRows))) * rowBytes;
  const times: OperationTimes = {
    operation,
    us,
    meanRankUs: overWindows(mean),
    remoteBytes,
    gbPerS: remoteBytes / us.median / 1e3,
  };
  return times;
}

async function prepare(group: RawGroup, input: TimingInput): Promise<RankMemory[]> {
  const { spec, sizes, numTokens } = input;
  const rowBytes = numTokens * spec.hidden * 2;
  const writes: Promise<void>[] = [];
  const memory = input.devices.map((_, rank): RankMemory => {
    const several = (numBytes: number) =>
      Array.from({ length: NUM_INPUTS }, () => group.alloc(rank, numBytes));
    return {
      x: several(rowBytes),
      handle: several(sizes.handleBytes),
      out: several(rowBytes),
      topkIdx: group.alloc(rank, numTokens * spec.topk * 8),
      topkWeights: group.alloc(rank, numTokens * spec.topk * 4),
    };
  });
  for (const [rank, { x }] of memory.entries()) {
    for (const pointer of x) writes.push(group.write(rank, pointer, randomRows(rowBytes)));
    // One rank's copies at a time: they are large.
    await Promise.all(writes.splice(0));
  }
  return memory;
}

async function timeWindow(
  group: RawGroup,
  memory: readonly RankMemory[],
  input: TimingInput,
  seed: number,
  windowIdx: number,
): Promise<Window> {
  const { spec, sizes, numTokens, numRounds } = input;
  const routing = memory.map((_, rank) => uniformRouting(spec, numTokens, rank, seed));
  await Promise.all(
    memory.flatMap(({ topkIdx, topkWeights }, rank) => [
      group.write(rank, topkIdx, bytesOf(routing[rank]?.topkIdx)),
      group.write(rank, topkWeights, bytesOf(routing[rank]?.topkWeights)),
    ]),
  );

  const { recvX } = sizes.regions;
  const grid = spec.channels.memory.count;
  const roundsPerWindow = NUM_WARM_UP_ROUNDS + numRounds;
  const events: { readonly [O in Operation]: [from: number, to: number][][] } = {
    dispatch: [],
    combine: [],
  };
  /** Appends one operation to all ranks, between events, behind a line that all ranks start from. */
  const append = (operation: Operation, enqueue: (rank: number) => void) => {
    group.startBarrier();
    const pairs = memory.map((_, rank): [number, number] => {
      const from = group.event(rank);
      enqueue(rank);
      return [from, group.event(rank)];
    });
    events[operation].push(pairs);
  };

  /** Appends one round to all ranks and returns its combines. */
  const appendRound = (round: number): Promise<void>[] => {
    const combines: Promise<void>[] = [];
    const sequence = windowIdx * roundsPerWindow + round;
    const turn = sequence % NUM_INPUTS;
    const buffer = sequence % recvX.numBuffers;
    append('dispatch', (rank) => {
      const { x, handle, topkIdx, topkWeights } = memory[rank] as RankMemory;
      group.dispatch(rank, {
        ...{ numTokens, topkIdx, topkWeights, buffer, grid, wait: false },
        x: x[turn] as bigint,
        handle: handle[turn] as bigint,
      });
    });
    append('combine', (rank) => {
      const { handle, out } = memory[rank] as RankMemory;
      const inputOffset = BigInt(recvX.offset + buffer * recvX.stride);
      combines.push(
        group.combine(rank, {
          ...{ numTokens, inputOffset, grid },
          handle: handle[turn] as bigint,
          out: out[turn] as bigint,
        }),
      );
    });
    return combines;
  };

  for (let first = 0; first < roundsPerWindow; first += MAX_ENQUEUED_ROUNDS) {
    const numEnqueued = Math.min(MAX_ENQUEUED_ROUNDS, roundsPerWindow - first);
    for (const rank of memory.keys()) group.delay(rank, RUNWAY_NS);
    const rounds = Array.from({ length: numEnqueued }, (_, i) => appendRound(first + i));
    await Promise.all(rounds.flat());
    await Promise.all(memory.map((_, rank) => group.synchronize(rank)));
  }

  const elapsed = (operation: Operation) =>
    events[operation]
      .slice(NUM_WARM_UP_ROUNDS)
      .map((pairs) => pairs.map(([from, to], rank) => 1e3 * group.elapsedMs(rank, from, to)));
  return {
    seed,
    remoteRows: routing.map(({ numRemoteRows }) => numRemoteRows),
    dispatch: elapsed('dispatch'),
    combine: elapsed('combine'),
  };
}

function bytesOf(array: BigInt64Array | Float32Array | undefined): Uint8Array {
  if (array === undefined) return new Uint8Array(0);
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
