import { ArenaBlock } from './arena-block.js';
import { assertCall, assertSameRank, checkNumChannels, checkRows } from './arguments.js';
import type { Combined } from './call-types.js';
import type { Part } from './collective.js';
import { DTYPES, describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { Handle, type HandleParts, usableHandle } from './handle.js';
import { nextOutputOffset } from './output-window.js';
import type { RankState } from './rank-state.js';
import type { Spec } from './spec-types.js';
import { blockStorage, type Storage } from './storage.js';
import { createTensor } from './tensor.js';

const KEYS = ['x', 'handle', 'numChannels'];

/** A launched combine: where its result will be, and the promise that it is there. */
export interface LaunchedCombine {
  readonly combined: Combined<Spec>;
  readonly done: Promise<void>;
}

/** A combine. `path` leads to the call in messages, as `perRank[3].`. */
export function combinePart(rank: RankState, call: unknown, path = ''): Part<LaunchedCombine> {
  const { hidden } = rank.group.dims;
  rank.group.assertOpen();
  assertCall(path, call, KEYS);
  const given = call.handle;
  const handle = checkHandle(rank, given, `${path}handle`);
  const wanted = {
    name: `${path}x`,
    dtype: 'bf16',
    rowSize: hidden,
    rowSizeName: 'hidden',
  } as const;
  const x = checkRows(rank, call.x, wanted);
  assertRows(rank, handle, path, x.numRows);
  const grid = checkNumChannels(rank, `${path}numChannels`, call.numChannels);

  const rowBytes = hidden * DTYPES.bf16.bytes;
  let out: ArenaBlock | undefined;
  return {
    rank,
    kind: 'combine',
    reserve: () => {
      checkHandle(rank, given, `${path}handle`);
      x.recheck();
      out = new ArenaBlock(rank, handle.numTokens * rowBytes);
    },
    cancel: () => out?.free(),
    launch: () => {
      if (out === undefined) throw new Error('a combine was launched without its output');
      const inputOffset = placeInput(rank, x.storage, x.numRows * rowBytes);
      const pending = rank.group.callSync((raw) =>
        raw.combine(rank.idx, {
          numTokens: handle.numTokens,
          handle: handle.block.pointer,
          out: out?.pointer ?? 0n,
          inputOffset,
          grid,
        }),
      );
      x.storage.seal();
      rank.countCombine();
      const storage = blockStorage(out, rank.follow(pending));
      return {
        combined: { x: createTensor('bf16', [handle.numTokens, hidden], storage) },
        done: rank.group.settle(pending),
      };
    },
    abandon: (launched) => {
      combinedWhenDone(launched).catch(() => undefined);
    },
  };
}

/** The result once it is there; a failed call's memory goes back. */
export async function combinedWhenDone({
  combined,
  done,
}: LaunchedCombine): Promise<Combined<Spec>> {
  try {
    await done;
    return combined;
  } catch (error) {
    combined.x.dispose();
    throw error;
  }
}

/** Checks that a handle is usable on `rank`. */
export function checkHandle(rank: RankState, handle: unknown, name: string): HandleParts {
  if (!(handle instanceof Handle)) {
    throw new EpgenArgumentError(
      `Expected ${name} to be what dispatch gave rank ${rank.idx} but received ${describe(handle)}`,
    );
  }
  const parts = usableHandle(handle, name);
  assertSameRank(rank, parts.rank, name);
  return parts;
}

/** Rows that the experts' outputs of a dispatch have. */
export function expectedRows(rank: RankState, { numRecvTokens }: HandleParts): number {
  return numRecvTokens ?? rank.group.dims.maxRecvTokens;
}

/** Where peers will read the rows: in place if they lie in the window, else in a copy of them. */
function placeInput(rank: RankState, x: Storage, numBytes: number): bigint {
  if (x.windowOffset !== undefined) return x.windowOffset;
  const offset = nextOutputOffset(rank);
  if (numBytes > 0) {
    rank.group.callSync((raw) => raw.copy(rank.idx, rank.windowBase + offset, x.pointer, numBytes));
  }
  return offset;
}

function assertRows(rank: RankState, handle: HandleParts, path: string, numRows: number): void {
  const wanted = expectedRows(rank, handle);
  if (numRows === wanted) return;
  const what =
    handle.numRecvTokens === undefined ? 'rows that can arrive' : 'rows that the handle received';
  throw new EpgenArgumentError(
    `Expected ${path}x to have ${wanted} rows, the ${what}, but received ${numRows}`,
  );
}
