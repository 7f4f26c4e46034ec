import type { RawCombineCall, RawDispatchCall, RawGroup } from '../../../native/addon-types.js';
import { stateOf } from '../../../native/group.js';
import { handleBytes } from '../../../native/handle.js';
import { highThroughputOf } from '../../../native/high-throughput.js';
import type { Group } from '../../../native/index.js';
import type { DispatchInput } from '../../../native/reference/index.js';
import type { Spec } from '../../../native/spec-types.js';

/** Calls below the TypeScript layer, so that their memory is allocated once and can be poisoned in stream order. */
export interface RawCalls {
  readonly raw: RawGroup;
  /** Per rank. */
  readonly handles: readonly bigint[];
  readonly outs: readonly bigint[];
  readonly outBytes: number;
  /** Uploads inputs; gives what `dispatch` and `combine` send, per rank. */
  prepare(inputs: readonly DispatchInput[]): Promise<Prepared>;
  /** The combine of `sequence`'s rows, where they arrived. */
  inputOffset(sequence: number): bigint;
  buffer(sequence: number): number;
}

export interface Prepared {
  readonly dispatches: readonly Omit<RawDispatchCall, 'buffer' | 'grid'>[];
  readonly combines: readonly Omit<RawCombineCall, 'inputOffset' | 'grid'>[];
}

export function rawCalls(group: Group, spec: Spec): RawCalls {
  const state = stateOf(group);
  const { raw } = state;
  const { recvX, handle, maxTokensPerRank } = highThroughputOf(state);
  const outBytes = maxTokensPerRank * spec.hidden * 2;
  const numHandleBytes = handleBytes(handle, spec.ranks, maxTokensPerRank);
  const blocks = (bytes: number) => group.ranks.map((_, r) => raw.alloc(r, bytes));
  const handles = blocks(numHandleBytes);
  const outs = blocks(outBytes);

  const upload = async (rank: number, values: Uint16Array | BigInt64Array | Uint32Array) => {
    const pointer = raw.alloc(rank, Math.max(16, values.byteLength));
    await raw.write(
      rank,
      pointer,
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
    return pointer;
  };
  const buffer = (sequence: number) => sequence % recvX.numBuffers;
  return {
    raw,
    handles,
    outs,
    outBytes,
    buffer,
    inputOffset: (sequence) => BigInt(recvX.offset + buffer(sequence) * recvX.stride),
    prepare: async (inputs) => {
      const dispatches = await Promise.all(
        inputs.map(async ({ numTokens, x, topkIdx, topkWeights }, r) => ({
          numTokens,
          x: await upload(r, x),
          topkIdx: await upload(r, topkIdx),
          topkWeights: await upload(r, topkWeights),
          handle: handles[r]!,
        })),
      );
      const combines = dispatches.map(({ numTokens, handle }, r) => ({
        ...{ numTokens, handle, out: outs[r]! },
      }));
      return { dispatches, combines };
    },
  };
}
