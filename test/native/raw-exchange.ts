import type { RawAddon, RawCounts, RawGroup } from '../../native/addon-types.js';
import { buildSpec } from '../support/built.js';

/** The addon below its TypeScript layer. */
export const rawSpec = {
  ranks: 2,
  hidden: 16,
  experts: 4,
  topk: 2,
  name: 'raw',
  ht: { maxTokensPerRank: 64 },
} as const;

const handleHeaderBytes = 4096; // more than any header of this spec

/** Builds the spec and gives the path of its addon, which a worker can load by itself. */
export async function rawAddonPath(): Promise<string> {
  const { addonPath } = await buildSpec(rawSpec);
  return addonPath;
}

export function loadRaw(path: string): RawAddon {
  const module = { exports: {} as RawAddon };
  process.dlopen(module, path);
  return module.exports;
}

/** One rank's arguments for a dispatch of `topkIdx.length / topk` tokens. */
export interface RawCall {
  readonly dispatch: () => Promise<RawCounts>;
  readonly enqueue: () => void;
}

export async function rawCall(
  group: RawGroup,
  rank: number,
  topkIdx: readonly bigint[],
): Promise<RawCall> {
  const numTokens = topkIdx.length / rawSpec.topk;
  const idx = new Uint8Array(BigInt64Array.from(topkIdx).buffer);
  const block = (bytes: number) => group.alloc(rank, bytes);
  const call = {
    numTokens,
    x: block(numTokens * rawSpec.hidden * 2),
    topkIdx: block(idx.length),
    topkWeights: block(topkIdx.length * 4),
    handle: block(handleHeaderBytes + numTokens * rawSpec.ranks * 4),
    buffer: 0,
    grid: 2,
  };
  await group.write(rank, call.topkIdx, idx);
  return {
    dispatch: () => group.dispatch(rank, { ...call, wait: true }),
    enqueue: () => group.dispatch(rank, { ...call, wait: false }),
  };
}

/** The error that a promise rejects with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<Error & { code: string; detail: never }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { code: string; detail: never };
  }
  throw new Error('Expected a rejection');
}
