// Memory that timed calls use, below the runtime's classes: between two calls nothing may allocate.
import type { RawGroup } from '../addon-types.js';
import { DTYPES } from '../dtype.js';
import type { Spec } from '../spec-types.js';
import { type BenchRouting, randomRows } from './routing.js';

/** Inputs, handles and results take turns, so that no call finds its data in a cache. */
export const NUM_INPUTS = 2;

/** What a rank's calls use. */
export interface RankMemory {
  readonly topkIdx: bigint;
  readonly topkWeights: bigint;
  /** What the call of this turn uses. */
  at(turn: number): RankInput;
}

interface RankInput {
  readonly x: bigint;
  readonly handle: bigint;
  readonly out: bigint;
}

export interface MemoryInput {
  readonly group: RawGroup;
  readonly spec: Spec;
  /** Most that a rank sends. */
  readonly numTokens: number;
  readonly handleBytes: number;
}

/** Memory of every rank, rows with random bf16. */
export async function openMemory(input: MemoryInput): Promise<readonly RankMemory[]> {
  const { group, spec, numTokens, handleBytes } = input;
  const rowBytes = numTokens * spec.hidden * DTYPES.bf16.bytes;
  const numChoices = numTokens * spec.topk;
  const memory: RankMemory[] = [];
  for (let rank = 0; rank < spec.ranks; rank++) {
    const inputs = Array.from(
      { length: NUM_INPUTS },
      (): RankInput => ({
        x: group.alloc(rank, rowBytes),
        handle: group.alloc(rank, handleBytes),
        out: group.alloc(rank, rowBytes),
      }),
    );
    memory.push({
      topkIdx: group.alloc(rank, numChoices * DTYPES[spec.topkIdx].bytes),
      topkWeights: group.alloc(rank, numChoices * DTYPES.f32.bytes),
      at: (turn) => inputs[turn % NUM_INPUTS] as RankInput,
    });
    // One rank's copies at a time: they are large.
    await Promise.all(inputs.map(({ x }) => group.write(rank, x, randomRows(rowBytes))));
  }
  return memory;
}

/** What every rank's calls choose from now on. */
export async function writeRouting(
  group: RawGroup,
  memory: readonly RankMemory[],
  routing: readonly BenchRouting[],
): Promise<void> {
  await Promise.all(
    routing.flatMap(({ topkIdx, topkWeights }, rank) => {
      const to = memory[rank] as RankMemory;
      return [
        group.write(rank, to.topkIdx, bytesOf(topkIdx)),
        group.write(rank, to.topkWeights, bytesOf(topkWeights)),
      ];
    }),
  );
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
