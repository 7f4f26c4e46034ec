// Times low-latency calls on GPUs, one by one and in CUDA graphs, below the runtime's classes: nothing allocates between.
import type { RawGroup } from '../addon-types.js';
import type { Sizes, Spec } from '../spec-types.js';
import { type BenchRouting, randomRows, uniformRouting } from './routing.js';

/** What is timed: `staged` combines bring expert outputs into the window first, others read them there. */
export type LowLatencyOperation = 'dispatch' | 'combine' | 'staged combine' | 'pair';

/** A call, a graph of one, or of many behind each other. */
export type LowLatencyLaunch = 'eager' | 'graph' | 'graph of 16';

export interface LowLatencyTimingInput {
  readonly group: RawGroup;
  readonly spec: Spec;
  readonly sizes: Sizes;
  readonly numWindows: number;
  /** Timed rounds of each window and operation. */
  readonly numRounds: number;
  readonly seed: number;
}

/** One operation of so many tokens a rank. */
export interface LowLatencyTimes {
  readonly numTokens: number;
  readonly operation: LowLatencyOperation;
  readonly launch: LowLatencyLaunch;
  /** Blocks of each launch. */
  readonly grid: number;
  /** Of a rank: selections, and those of experts on other ranks; means over ranks and windows. */
  readonly selections: number;
  readonly remoteSelections: number;
  /** µs of one call: slowest rank of each round, in order. */
  readonly samples: readonly number[];
}

const LAUNCHES: readonly (readonly [LowLatencyLaunch, number])[] = [
  ['graph', 1],
  ['graph of 16', 16],
];
const NUM_INPUTS = 2;
const NUM_WARM_UP_ROUNDS = 4;
/** Rounds that are enqueued at once: each dispatch holds one of a rank's 16 count records until it ends. */
const MAX_ENQUEUED_ROUNDS = 12;
/** Enough for JavaScript to enqueue them while the devices still wait. */
const RUNWAY_NS = 10_000_000;

/** What a rank's calls use. Inputs and handles take turns, so that no call finds its data in a cache. */
interface RankMemory {
  readonly x: readonly bigint[];
  readonly handle: readonly bigint[];
  readonly out: bigint;
  readonly topkIdx: bigint;
  readonly topkWeights: bigint;
}

/** The ways to combine that a spec has: rows that travel as fp8 are cast when they are staged. */
export function lowLatencyOperations({ ll }: Spec): readonly LowLatencyOperation[] {
  if (!ll) return [];
  const inPlace: readonly LowLatencyOperation[] = ll.combineDtype === 'bf16' ? ['combine'] : [];
  return ['dispatch', ...inPlace, 'staged combine', 'pair'];
}

export class LowLatencyTimer {
  readonly #input: LowLatencyTimingInput;
  readonly #memory: readonly RankMemory[];

  private constructor(input: LowLatencyTimingInput, memory: readonly RankMemory[]) {
    this.#input = input;
    this.#memory = memory;
  }

  static async open(input: LowLatencyTimingInput): Promise<LowLatencyTimer> {
    const { group, spec, sizes } = input;
    const maxTokens = spec.ll ? spec.ll.maxTokensPerRank : 0;
    const rowBytes = maxTokens * spec.hidden * 2;
    const memory = Array.from({ length: spec.ranks }, (_, rank): RankMemory => {
      const several = (numBytes: number) =>
        Array.from({ length: NUM_INPUTS }, () => group.alloc(rank, numBytes));
      return {
        x: several(rowBytes),
        handle: several(sizes.llHandleBytes ?? 0),
        out: group.alloc(rank, rowBytes),
        topkIdx: group.alloc(rank, maxTokens * spec.topk * 8),
        topkWeights: group.alloc(rank, maxTokens * spec.topk * 4),
      };
    });
    for (const [rank, { x }] of memory.entries()) {
      for (const pointer of x) await group.write(rank, pointer, randomRows(rowBytes));
    }
    return new LowLatencyTimer(input, memory);
  }

  /** µs between two events around an empty kernel: part of what every sample has. */
  async emptyUs(): Promise<number[]> {
    const { group, numRounds } = this.#input;
    const samples = await this.#rounds(numRounds, () => {
      for (const rank of this.#memory.keys()) group.delay(rank, 0);
    });
    return samples;
  }

  /** All operations of `numTokens` tokens a rank, in all ways to launch them. */
  async times(numTokens: number): Promise<LowLatencyTimes[]> {
    const { group, spec, numWindows, numRounds, seed } = this.#input;
    const grid = gridFor(spec, numTokens);
    const launches: Launched[] = [];
    for (const operation of lowLatencyOperations(spec)) {
      const enqueue = (turn: number) => this.#enqueue(operation, { numTokens, grid, turn });
      launches.push({ operation, launch: 'eager', numCalls: 1, start: enqueue, samples: [] });
      for (const [launch, numCalls] of LAUNCHES) {
        const graph = await this.#capture(numCalls, enqueue);
        const start = () => group.replay(graph);
        launches.push({ operation, launch, numCalls, start, graph, samples: [] });
      }
    }
    const routings: BenchRouting[] = [];
    for (let window = 0; window < numWindows; window++) {
      const routing = this.#memory.map((_, rank) =>
        uniformRouting(spec, numTokens, rank, seed + window),
      );
      routings.push(...routing);
      await this.#route(routing);
      // Combines sum what these dispatches sent.
      for (let turn = 0; turn < NUM_INPUTS; turn++) {
        this.#enqueue('dispatch', { numTokens, grid, turn });
      }
      for (const { start, numCalls, samples } of launches) {
        const times = await this.#rounds(numRounds, start);
        samples.push(...times.map((us) => us / numCalls));
      }
    }
    for (const { graph } of launches) if (graph !== undefined) group.freeGraph(graph);
    const remote = routings.reduce((sum, { numRemoteSelections }) => sum + numRemoteSelections, 0);
    return launches.map(({ operation, launch, samples }) => ({
      ...{ numTokens, operation, launch, grid, samples },
      selections: numTokens * spec.topk,
      remoteSelections: remote / routings.length,
    }));
  }

  async #route(routing: readonly BenchRouting[]): Promise<void> {
    const { group } = this.#input;
    await Promise.all(
      this.#memory.flatMap(({ topkIdx, topkWeights }, rank) => {
        const { topkIdx: choices, topkWeights: weights } = routing[rank] as BenchRouting;
        return [
          group.write(rank, topkIdx, bytesOf(choices)),
          group.write(rank, topkWeights, bytesOf(weights)),
        ];
      }),
    );
  }

  /** One call of all ranks. What fails is told by `synchronize` too. */
  #enqueue(operation: LowLatencyOperation, call: Call): void {
    for (const rank of this.#memory.keys()) {
      if (operation === 'dispatch' || operation === 'pair') this.#dispatch(rank, call);
      const isStaged =
        operation === 'staged combine' ||
        (operation === 'pair' && !lowLatencyOperations(this.#input.spec).includes('combine'));
      if (isStaged) this.#stage(rank, call);
      if (operation !== 'dispatch') this.#combine(rank, call);
    }
  }

  #dispatch(rank: number, { numTokens, grid, turn }: Call): void {
    const { x, handle, topkIdx } = this.#memory[rank] as RankMemory;
    this.#input.group.llDispatch(rank, {
      ...{ phases: 'both', numTokens, grid, topkIdx },
      x: x[turn % NUM_INPUTS] as bigint,
      handle: handle[turn % NUM_INPUTS] as bigint,
    });
  }

  /** From the receive buffers, which are as large as what a rank's experts give. */
  #stage(rank: number, { grid, turn }: Call): void {
    const { group, sizes } = this.#input;
    group.llStage(rank, {
      x: group.windowBase(rank) + BigInt(sizes.regions.llRecvX?.offset ?? 0),
      outputOffset: this.#outputOffset(turn),
      handle: this.#memory[rank]?.handle[turn % NUM_INPUTS] as bigint,
      grid,
    });
  }

  #combine(rank: number, { numTokens, grid, turn }: Call): void {
    const { handle, out, topkWeights } = this.#memory[rank] as RankMemory;
    const combined = this.#input.group.llCombine(rank, {
      ...{ phases: 'both', numTokens, grid, topkWeights, out },
      inputOffset: this.#outputOffset(turn),
      handle: handle[turn % NUM_INPUTS] as bigint,
    });
    combined.catch(() => undefined);
  }

  #outputOffset(turn: number): bigint {
    const { llOutput } = this.#input.sizes.regions;
    if (llOutput === undefined) throw new Error('a spec without low-latency calls');
    return BigInt(llOutput.offset + (turn % llOutput.numBuffers) * llOutput.stride);
  }

  async #capture(numCalls: number, enqueue: (turn: number) => void): Promise<number> {
    const { group } = this.#input;
    const graph = group.beginCapture();
    for (let turn = 0; turn < numCalls; turn++) enqueue(turn);
    await group.endCapture();
    return graph;
  }

  /** µs of each round's slowest rank: `start` between events, behind a line that all ranks start from. */
  async #rounds(numRounds: number, start: (turn: number) => void): Promise<number[]> {
    const { group } = this.#input;
    const ranks = [...this.#memory.keys()];
    const samples: number[] = [];
    const numAll = numRounds + NUM_WARM_UP_ROUNDS;
    for (let first = 0; first < numAll; first += MAX_ENQUEUED_ROUNDS) {
      const numEnqueued = Math.min(MAX_ENQUEUED_ROUNDS, numAll - first);
      for (const rank of ranks) group.delay(rank, RUNWAY_NS);
      const events = Array.from({ length: numEnqueued }, (_, i) => {
        group.startBarrier();
        const from = ranks.map((rank) => group.event(rank));
        start(first + i);
        return { from, to: ranks.map((rank) => group.event(rank)) };
      });
      await Promise.all(ranks.map((rank) => group.synchronize(rank)));
      for (const { from, to } of events) {
        const times = ranks.map((rank) =>
          group.elapsedMs(rank, from[rank] as number, to[rank] as number),
        );
        samples.push(1e3 * Math.max(...times));
      }
    }
    return samples.slice(NUM_WARM_UP_ROUNDS);
  }
}

interface Call {
  readonly numTokens: number;
  readonly grid: number;
  readonly turn: number;
}

interface Launched {
  readonly operation: LowLatencyOperation;
  readonly launch: LowLatencyLaunch;
  readonly numCalls: number;
  readonly start: (turn: number) => void;
  readonly graph?: number;
  readonly samples: number[];
}

/** As many blocks as the runtime launches where a call does not say. */
function gridFor({ ranks, channels, ll }: Spec, numTokens: number): number {
  const most = channels.ll === 'chip' ? Math.min(ll ? ll.maxTokensPerRank : 1, 128) : channels.ll;
  return Math.min(most, Math.max(numTokens, ranks));
}

function bytesOf(array: BigInt64Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
