// Times low-latency calls on GPUs, one by one and in CUDA graphs.
import type { RawGroup } from '../addon-types.js';
import { lowLatencyGrid } from '../low-latency-arguments.js';
import type { Spec } from '../spec-types.js';
import {
  type LowLatencyCall,
  LowLatencyCalls,
  type LowLatencyOperation,
  lowLatencyOperations,
} from './low-latency-calls.js';
import type { LowLatencyNumbers } from './low-latency-numbers.js';
import { NUM_INPUTS, openMemory, type RankMemory, writeRouting } from './rank-memory.js';
import { type Start, timeRounds } from './rounds.js';
import { type BenchRouting, uniformRouting } from './routing.js';
import { mean } from './statistics.js';

/** A call, a graph of one, or of many behind each other. */
export type LowLatencyLaunch = 'eager' | 'graph' | 'graph of 16';

export interface LowLatencyTimingInput {
  readonly group: RawGroup;
  readonly spec: Spec;
  readonly numbers: LowLatencyNumbers;
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

const GRAPHS: readonly (readonly [LowLatencyLaunch, number])[] = [
  ['graph', 1],
  ['graph of 16', 16],
];
/** Enough for JavaScript to enqueue rounds while the devices still wait. */
const RUNWAY_NS = 10_000_000;

interface Launched {
  readonly operation: LowLatencyOperation;
  readonly launch: LowLatencyLaunch;
  readonly numCalls: number;
  readonly start: Start;
  readonly graph?: number;
  readonly samples: number[];
}

export class LowLatencyTimer {
  readonly #input: LowLatencyTimingInput;
  readonly #memory: readonly RankMemory[];
  readonly #calls: LowLatencyCalls;

  private constructor(input: LowLatencyTimingInput, memory: readonly RankMemory[]) {
    this.#input = input;
    this.#memory = memory;
    this.#calls = new LowLatencyCalls({ ...input, memory });
  }

  static async open(input: LowLatencyTimingInput): Promise<LowLatencyTimer> {
    const { group, spec, numbers } = input;
    const { maxTokensPerRank: numTokens, handleBytes } = numbers;
    return new LowLatencyTimer(input, await openMemory({ group, spec, numTokens, handleBytes }));
  }

  /** µs between two events around an empty kernel: part of what every sample has. */
  emptyUs(): Promise<number[]> {
    return this.#slowest(() => {
      for (const rank of this.#memory.keys()) this.#input.group.delay(rank, 0);
      return [];
    });
  }

  /** All operations of `numTokens` tokens a rank, in all ways to launch them. */
  async times(numTokens: number): Promise<LowLatencyTimes[]> {
    const { group, spec, numbers, numWindows, seed } = this.#input;
    const { numChannels } = numbers;
    const grid = lowLatencyGrid({ numChannels, numTokens, numRanks: spec.ranks });
    const launches = await this.#launches({ numTokens, grid });
    const routings: BenchRouting[] = [];
    for (let window = 0; window < numWindows; window++) {
      const routing = this.#memory.map((_, rank) =>
        uniformRouting(spec, numTokens, rank, seed + window),
      );
      routings.push(...routing);
      await writeRouting(group, this.#memory, routing);
      // Combines sum what these dispatches sent.
      for (let turn = 0; turn < NUM_INPUTS; turn++) {
        this.#calls.enqueue('dispatch', { numTokens, grid, turn });
      }
      for (const { start, numCalls, samples } of launches) {
        const times = await this.#slowest(start);
        samples.push(...times.map((us) => us / numCalls));
      }
    }
    for (const { graph } of launches) if (graph !== undefined) group.freeGraph(graph);
    return launches.map(({ operation, launch, samples }) => ({
      ...{ numTokens, operation, launch, grid, samples },
      selections: numTokens * spec.topk,
      remoteSelections: mean(routings.map(({ numRemoteSelections }) => numRemoteSelections)),
    }));
  }

  /** Every operation, in all ways to launch it. */
  async #launches(call: Omit<LowLatencyCall, 'turn'>): Promise<Launched[]> {
    const { group, spec } = this.#input;
    const launches: Launched[] = [];
    for (const operation of lowLatencyOperations(spec)) {
      const enqueue: Start = (turn) => this.#calls.enqueue(operation, { ...call, turn });
      launches.push({ operation, launch: 'eager', numCalls: 1, start: enqueue, samples: [] });
      for (const [launch, numCalls] of GRAPHS) {
        const graph = await this.#capture(numCalls, enqueue);
        const start = () => {
          group.replay(graph);
          return [];
        };
        launches.push({ operation, launch, numCalls, start, graph, samples: [] });
      }
    }
    return launches;
  }

  async #capture(numCalls: number, enqueue: Start): Promise<number> {
    const { group } = this.#input;
    const graph = group.beginCapture();
    const calls = Array.from({ length: numCalls }, (_, turn) => enqueue(turn));
    await Promise.all([...calls.flat(), group.endCapture()]);
    return graph;
  }

  /** µs of each round's slowest rank. */
  async #slowest(start: Start): Promise<number[]> {
    const { group, numRounds } = this.#input;
    const rounds = { group, numRanks: this.#memory.length, numRounds, runwayNs: RUNWAY_NS };
    const [times = []] = await timeRounds(rounds, [start]);
    return times.map((ranks) => Math.max(...ranks));
  }
}
