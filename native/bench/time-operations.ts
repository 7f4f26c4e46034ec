// Times dispatch and combine on GPUs. Below the runtime's classes: between two calls nothing may allocate or wait.
import type { RawAddon, RawGroup } from '../addon-types.js';
import type { HighThroughputSizes, HighThroughputSpec } from '../spec-types.js';
import { openBenchGroup } from './machine.js';
import { openMemory, type RankMemory, writeRouting } from './rank-memory.js';
import { type Start, timeRounds } from './rounds.js';
import { uniformRouting } from './routing.js';
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

/** Enough for JavaScript to enqueue rounds while the devices still wait. */
const RUNWAY_NS = 30_000_000;

/** Opens a group on GPUs, times windows of rounds, each with a fresh uniform routing, and closes it. */
export async function timeOperations(input: TimingInput): Promise<Window[]> {
  const { addon, devices, spec, sizes, numTokens, numWindows, seed } = input;
  const group = openBenchGroup(addon, devices);
  try {
    const { handleBytes } = sizes;
    const memory = await openMemory({ group, spec, numTokens, handleBytes });
    const starts = startsOf({ ...input, group, memory });
    const windows: Window[] = [];
    for (let i = 0; i < numWindows; i++) {
      const window = await timeWindow({ ...input, group, memory, seed: seed + i }, starts);
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

interface OpenInput extends TimingInput {
  readonly group: RawGroup;
  readonly memory: readonly RankMemory[];
}

async function timeWindow(input: OpenInput, starts: readonly Start[]): Promise<Window> {
  const { group, memory, spec, numTokens, numRounds, seed } = input;
  const routing = memory.map((_, rank) => uniformRouting(spec, numTokens, rank, seed));
  await writeRouting(group, memory, routing);
  const rounds = { group, numRanks: memory.length, numRounds, runwayNs: RUNWAY_NS };
  const [dispatch = [], combine = []] = await timeRounds(rounds, starts);
  const remoteRows = routing.map(({ numRemoteRows }) => numRemoteRows);
  return { seed, remoteRows, dispatch, combine };
}

/** A dispatch of all ranks, and the combine of its rows; buffers take turns over all windows. */
function startsOf({ group, memory, spec, sizes, numTokens }: OpenInput): readonly Start[] {
  const { recvX } = sizes.regions;
  const grid = spec.channels.memory.count;
  let numDispatches = 0;
  const bufferOf = (turn: number) => turn % recvX.numBuffers;
  const dispatch = () => {
    const turn = numDispatches++;
    for (const [rank, { topkIdx, topkWeights, at }] of memory.entries()) {
      const { x, handle } = at(turn);
      group.dispatch(rank, {
        ...{ numTokens, topkIdx, topkWeights, x, handle, grid, wait: false },
        buffer: bufferOf(turn),
      });
    }
    return [];
  };
  const combine = () => {
    const turn = numDispatches - 1;
    const inputOffset = BigInt(recvX.offset + bufferOf(turn) * recvX.stride);
    return memory.map(({ at }, rank) => {
      const { handle, out } = at(turn);
      return group.combine(rank, { numTokens, handle, out, inputOffset, grid });
    });
  };
  return [dispatch, combine];
}
