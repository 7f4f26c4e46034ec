import { type ArenaBlock, allocateAll } from './arena-block.js';
import { countElements, DTYPES } from './dtype.js';
import type { RankState } from './rank-state.js';
import type { ReceiveView } from './receive-window.js';
import { hasScales } from './spec-features.js';
import { blockStorage } from './storage.js';
import { type AnyTensor, createTensor, usableStorage } from './tensor.js';

/** The tensors of a result by name: those that its spec and its routing have. */
export type Rows = Readonly<Record<string, AnyTensor>>;

/** What `numRows` tokens brought along. */
export function payloadRows(rank: RankState, view: ReceiveView, numRows: number): Rows {
  const { dims, description } = rank.group;
  const { spec } = description;
  return {
    x: createTensor(spec.dtype, [numRows, dims.hidden], view('recvX')),
    ...(hasScales(spec) ? { xScales: scales(rank, view, numRows) } : {}),
    ...(spec.extraBytes > 0
      ? { extras: createTensor('u8', [numRows, spec.extraBytes], view('recvExtras')) }
      : {}),
  };
}

/** Received columns lie as far apart as in the window, whatever came. */
function scales(rank: RankState, view: ReceiveView, numRows: number): AnyTensor {
  const { numScaleWords, scaleColumnWords } = rank.group.dims;
  const shape = scaleColumnWords > 0 ? [numScaleWords, scaleColumnWords] : [numRows, numScaleWords];
  const dtype = rank.group.description.spec.scaleDtype === 'f32' ? 'f32' : 'i32';
  return createTensor(dtype, shape, view('recvXScales'));
}

/** Which local experts the rows are for. */
export function topkRows(rank: RankState, view: ReceiveView, numRows: number): Rows {
  const { dims, description } = rank.group;
  const shape = [numRows, dims.numTopk];
  return {
    topkIdx: createTensor(description.spec.topkIdx, shape, view('recvTopkIdx')),
    topkWeights: createTensor('f32', shape, view('recvTopkWeights')),
  };
}

/** Copies rows out of the window. They may have gone to a later dispatch while the counts were awaited: that throws. */
export function rowsInArena(rank: RankState, rows: Rows): Rows {
  const copies = Object.entries(rows).map(([name, tensor]) => ({
    name,
    tensor,
    from: usableStorage(tensor, `received.${name}`),
    numBytes: countElements(tensor.shape) * DTYPES[tensor.dtype].bytes,
  }));
  const blocks = allocateAll(
    rank,
    Object.fromEntries(copies.map(({ name, numBytes }) => [name, numBytes])),
  );
  const placed = copies.map((copy) => ({ ...copy, block: blocks[copy.name] as ArenaBlock }));
  for (const { from, numBytes, block } of placed) {
    if (numBytes === 0) continue;
    rank.copy(block.pointer, from.pointer, numBytes);
  }
  // The rows may still be travelling: a group that gives up on them never makes the copies.
  const arrival = rank.enqueuedSoFar();
  return Object.fromEntries(
    placed.map(({ name, tensor, block }) => [
      name,
      createTensor(tensor.dtype, tensor.shape, blockStorage(block, arrival)),
    ]),
  );
}
