import { allocateAll } from './arena-block.js';
import { assertCall, assertTokens, checkRows } from './arguments.js';
import type { DispatchLayout } from './call-types.js';
import { highThroughputOf } from './high-throughput.js';
import type { RankState } from './rank-state.js';
import { blockStorage } from './storage.js';
import { MAIN_STREAM } from './stream-order.js';
import { createTensor } from './tensor.js';

/** Asks one rank where its tokens would go; no other rank takes part. */
export async function dispatchLayout(
  rank: RankState,
  call: unknown,
  path = '',
): Promise<DispatchLayout> {
  const { numRanks, numExperts, numTopk } = rank.group.dims;
  rank.group.assertOpen();
  highThroughputOf(rank.group, 'getDispatchLayout');
  rank.group.refuseInCapture('getDispatchLayout');
  assertCall(path, call, ['topkIdx']);
  const name = `${path}topkIdx`;
  const { storage, numRows: numTokens } = checkRows(rank, call.topkIdx, {
    name,
    dtype: rank.group.description.spec.topkIdx,
    rowSize: numTopk,
    rowSizeName: 'topk',
  });
  assertTokens(rank, name, numTokens);
  const blocks = allocateAll(rank, {
    numTokensPerRank: numRanks * Int32Array.BYTES_PER_ELEMENT,
    numTokensPerExpert: numExperts * Int32Array.BYTES_PER_ELEMENT,
    isTokenInRank: numTokens * numRanks,
  });
  const { numTokensPerRank, numTokensPerExpert, isTokenInRank } = blocks;
  try {
    const access = () => ({
      reads: rank.resourcesAt(storage.pointer),
      writes: Object.values(blocks).flatMap(({ pointer }) => rank.resourcesAt(pointer)),
    });
    const pending = rank.order.perform(MAIN_STREAM, access, () =>
      rank.group.call((raw) =>
        raw.dispatchLayout(rank.idx, {
          numTokens,
          topkIdx: storage.pointer,
          numTokensPerRank: numTokensPerRank.pointer,
          numTokensPerExpert: numTokensPerExpert.pointer,
          isTokenInRank: isTokenInRank.pointer,
        }),
      ),
    );
    await pending;
  } catch (error) {
    for (const block of Object.values(blocks)) block.free();
    throw error;
  }
  return {
    numTokensPerRank: createTensor('i32', [numRanks], blockStorage(numTokensPerRank)),
    numTokensPerRdmaRank: null,
    numTokensPerExpert: createTensor('i32', [numExperts], blockStorage(numTokensPerExpert)),
    isTokenInRank: createTensor('u8', [numTokens, numRanks], blockStorage(isTokenInRank)),
  };
}
