import { at, increment } from './at.js';
import type { Routing } from './routing.js';
import { channelOfToken, isTokenInRank, selections } from './routing.js';

/** What one rank sends. T = numTokens. */
export interface DispatchInput {
  readonly numTokens: number;
  /** bf16 bits [T][hidden]. */
  readonly x: Uint16Array;
  /** i64 [T][topk]; −1, or any index outside [0, experts), selects nothing. */
  readonly topkIdx: BigInt64Array;
  /** f32 bits [T][topk]. */
  readonly topkWeights: Uint32Array;
}

export interface DispatchReferenceCall extends Routing {
  readonly hidden: number;
  readonly numChannels: number;
  /** One entry for each rank. */
  readonly perRank: readonly DispatchInput[];
}

/**
 * What a rank keeps of a dispatch for its combine. R ranks, C channels, T own tokens; all i32 but
 * isTokenInRank.
 */
export interface ReferenceHandle {
  /** [R src][R dst]: tokens that sources ≤ src send to dst. Equal on every rank. */
  readonly rankPrefixMatrix: Int32Array;
  /** [R dst][C]: own tokens sent to dst through channels ≤ c. */
  readonly channelPrefixMatrix: Int32Array;
  /**
   * [R src][C]: rows that src sent here through channels < c, counted from the first row of src.
   */
  readonly recvChannelPrefixMatrix: Int32Array;
  /** u8 [T][R]. */
  readonly isTokenInRank: Uint8Array;
  /** [T][R]: the token's row at the peer, −1 where it does not go. */
  readonly slot: Int32Array;
}

/** What one rank receives: N rows, by source rank, then by source token, without holes. */
export interface DispatchOutput {
  readonly numRecvTokens: number;
  /** bf16 bits [N][hidden]. */
  readonly x: Uint16Array;
  /** i64 [N][topk]: local expert id, −1 where the expert lives elsewhere. */
  readonly topkIdx: BigInt64Array;
  /** f32 bits [N][topk]: +0 where topkIdx is −1. */
  readonly topkWeights: Uint32Array;
  /** i32 [N]: the token's index on its source rank. */
  readonly srcIdx: Int32Array;
  /**
   * i32 [experts / ranks]: selections of each local expert; an expert named twice by one token
   * counts twice.
   */
  readonly numTokensPerExpert: Int32Array;
  readonly handle: ReferenceHandle;
}

/** The model of HT dispatch on all ranks at once. */
export function dispatchReference(call: DispatchReferenceCall): DispatchOutput[] {
  const membership = call.perRank.map((input) => isTokenInRank(call, input.topkIdx));
  const ranks = Array.from({ length: call.ranks }, (_, rank) => rank);
  const rowsOf = ranks.map((dst) => receivedRows(call, membership, dst));
  const rankPrefixMatrix = Int32Array.from(
    ranks.flatMap((src) =>
      ranks.map((dst) => at(rowsOf, dst).filter((row) => row.src <= src).length),
    ),
  );
  return ranks.map((rank) => ({
    ...receive(call, at(rowsOf, rank), rank),
    handle: {
      rankPrefixMatrix,
      channelPrefixMatrix: matrix(
        call,
        (dst, channel) =>
          at(rowsOf, dst).filter((row) => row.src === rank && row.channel <= channel).length,
      ),
      recvChannelPrefixMatrix: matrix(
        call,
        (src, channel) =>
          at(rowsOf, rank).filter((row) => row.src === src && row.channel < channel).length,
      ),
      isTokenInRank: at(membership, rank),
      slot: slots(call, rowsOf, rank),
    },
  }));
}

interface Row {
  readonly src: number;
  readonly tokenIdx: number;
  readonly channel: number;
}

function receivedRows(
  call: DispatchReferenceCall,
  membership: readonly Uint8Array[],
  dst: number,
): Row[] {
  return call.perRank.flatMap(({ numTokens }, src) => {
    const rows: Row[] = [];
    for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
      if (at(membership, src)[tokenIdx * call.ranks + dst] === 0) continue;
      rows.push({ src, tokenIdx, channel: channelOfToken(tokenIdx, numTokens, call.numChannels) });
    }
    return rows;
  });
}

function receive(
  call: DispatchReferenceCall,
  rows: readonly Row[],
  rank: number,
): Omit<DispatchOutput, 'handle'> {
  const { hidden, topk } = call;
  const numLocalExperts = call.experts / call.ranks;
  const experts = call.perRank.map((input) => selections(call, input.topkIdx));
  const x = new Uint16Array(rows.length * hidden);
  const topkIdx = new BigInt64Array(rows.length * topk).fill(-1n);
  const topkWeights = new Uint32Array(rows.length * topk);
  const numTokensPerExpert = new Int32Array(numLocalExperts);
  rows.forEach(({ src, tokenIdx }, row) => {
    const input = at(call.perRank, src);
    x.set(input.x.subarray(tokenIdx * hidden, (tokenIdx + 1) * hidden), row * hidden);
    for (let k = 0; k < topk; k++) {
      const localExpert = at(at(experts, src), tokenIdx * topk + k) - rank * numLocalExperts;
      if (localExpert < 0 || localExpert >= numLocalExperts) continue;
      topkIdx[row * topk + k] = BigInt(localExpert);
      topkWeights[row * topk + k] = at(input.topkWeights, tokenIdx * topk + k);
      increment(numTokensPerExpert, localExpert);
    }
  });
  const srcIdx = Int32Array.from(rows, (row) => row.tokenIdx);
  return { numRecvTokens: rows.length, x, topkIdx, topkWeights, srcIdx, numTokensPerExpert };
}

function slots(
  call: DispatchReferenceCall,
  rowsOf: readonly (readonly Row[])[],
  rank: number,
): Int32Array {
  const slot = new Int32Array(at(call.perRank, rank).numTokens * call.ranks).fill(-1);
  rowsOf.forEach((rows, dst) => {
    rows.forEach(({ src, tokenIdx }, row) => {
      if (src === rank) slot[tokenIdx * call.ranks + dst] = row;
    });
  });
  return slot;
}

function matrix(
  call: DispatchReferenceCall,
  cell: (rank: number, channel: number) => number,
): Int32Array {
  return Int32Array.from({ length: call.ranks * call.numChannels }, (_, i) =>
    cell(Math.floor(i / call.numChannels), i % call.numChannels),
  );
}
