// Low-latency operations on all ranks, as the runtime launches them.
import type { RawGroup } from '../addon-types.js';
import type { Spec } from '../spec-types.js';
import type { LowLatencyNumbers } from './low-latency-numbers.js';
import type { RankMemory } from './rank-memory.js';

/** What is timed: `staged` combines bring expert outputs into the window first, others read them there. */
export type LowLatencyOperation = 'dispatch' | 'combine' | 'staged combine' | 'pair';

export interface LowLatencyCall {
  readonly numTokens: number;
  /** Blocks of each launch. */
  readonly grid: number;
  readonly turn: number;
}

export interface LowLatencyCallsInput {
  readonly group: RawGroup;
  readonly spec: Spec;
  readonly numbers: LowLatencyNumbers;
  readonly memory: readonly RankMemory[];
}

/** The ways to combine that a spec has: rows that travel as fp8 are cast when they are staged. */
export function lowLatencyOperations({ ll }: Spec): readonly LowLatencyOperation[] {
  if (!ll) return [];
  const inPlace: readonly LowLatencyOperation[] = ll.combineDtype === 'bf16' ? ['combine'] : [];
  return ['dispatch', ...inPlace, 'staged combine', 'pair'];
}

/** Enqueues operations; each gives the promises of its combines. */
export class LowLatencyCalls {
  readonly #input: LowLatencyCallsInput;
  readonly #stagesPairs: boolean;

  constructor(input: LowLatencyCallsInput) {
    this.#input = input;
    this.#stagesPairs = !lowLatencyOperations(input.spec).includes('combine');
  }

  /** One call of all ranks. */
  enqueue(operation: LowLatencyOperation, call: LowLatencyCall): Promise<void>[] {
    const isPair = operation === 'pair';
    const isStaged = operation === 'staged combine' || (isPair && this.#stagesPairs);
    const combines: Promise<void>[] = [];
    for (const [rank, memory] of this.#input.memory.entries()) {
      if (operation === 'dispatch' || isPair) this.#dispatch(rank, memory, call);
      if (isStaged) this.#stage(rank, memory, call);
      if (operation !== 'dispatch') combines.push(this.#combine(rank, memory, call));
    }
    return combines;
  }

  #dispatch(rank: number, memory: RankMemory, { numTokens, grid, turn }: LowLatencyCall): void {
    const { x, handle } = memory.at(turn);
    const { topkIdx } = memory;
    this.#input.group.llDispatch(rank, { phases: 'both', numTokens, grid, topkIdx, x, handle });
  }

  /** From the receive buffers, which are as large as what a rank's experts give. */
  #stage(rank: number, memory: RankMemory, { grid, turn }: LowLatencyCall): void {
    const { group } = this.#input;
    group.llStage(rank, {
      x: group.windowBase(rank) + BigInt(this.#input.numbers.recvX.offset),
      outputOffset: this.#outputOffset(turn),
      handle: memory.at(turn).handle,
      grid,
    });
  }

  #combine(
    rank: number,
    memory: RankMemory,
    { numTokens, grid, turn }: LowLatencyCall,
  ): Promise<void> {
    const { handle, out } = memory.at(turn);
    return this.#input.group.llCombine(rank, {
      ...{ phases: 'both', numTokens, grid, handle, out },
      topkWeights: memory.topkWeights,
      inputOffset: this.#outputOffset(turn),
    });
  }

  #outputOffset(turn: number): bigint {
    const { offset, stride, numBuffers } = this.#input.numbers.output;
    return BigInt(offset + (turn % numBuffers) * stride);
  }
}
