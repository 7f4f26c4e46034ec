import type { RawCombineCall } from './addon-types.js';
import { type ArenaBlock, allocateAll } from './arena-block.js';
import type { CheckedRows } from './arguments.js';
import type { Part } from './collective.js';
import { type CombineArguments, checkCombine } from './combine-arguments.js';
import type { Combined, CombineWeights } from './combine-types.js';
import { DTYPES } from './dtype.js';
import type { Event } from './event.js';
import { sumExperts } from './expert-sum.js';
import { highThroughputOf } from './high-throughput.js';
import { nextOutputOffset, nextWeightsOffset } from './output-window.js';
import type { RankState } from './rank-state.js';
import { isEarlierCallError } from './raw-errors.js';
import type { Spec } from './spec-types.js';
import { blockStorage } from './storage.js';
import type { Access } from './stream-order.js';
import { createTensor } from './tensor.js';
import { combineWrites } from './window-resources.js';
import type { WindowState } from './window-state.js';

/** What a combine gives, whatever its spec says. */
interface AnyCombined extends Combined<Spec> {
  /** There where the spec combines weights; null where the call gave none. */
  readonly topkWeights?: CombineWeights<Spec> | null;
  readonly event: Event | null;
}

/** A launched combine: where its result will be, and the promise that it is there. */
export interface LaunchedCombine {
  readonly rank: RankState;
  readonly combined: AnyCombined;
  readonly done: Promise<void>;
}

/** Where a combine writes. */
interface Outputs {
  readonly x: ArenaBlock;
  /** Of no bytes where the call brings no weights. */
  readonly topkWeights: ArenaBlock;
}

/** A combine. `path` leads to the call in messages, as `perRank[3].`. */
export function combinePart(rank: RankState, call: unknown, path = ''): Part<LaunchedCombine> {
  const args = checkCombine(rank, call, path);
  const { window } = args.handle;
  let out: Outputs | undefined;
  return {
    rank,
    window,
    kind: args.kind,
    dispatchName: args.handle.dispatchName,
    reserve: () => {
      args.recheck();
      assertOwnBuffer(args, path);
      out = allocateOutputs(rank, args);
    },
    cancel: () => {
      out?.x.free();
      out?.topkWeights.free();
    },
    launch: () => {
      if (out === undefined) throw new Error('a combine was launched without its output');
      const call = rawCall(args, out);
      const access = () => accessOf(rank, args, call);
      const { result: pending, event } = args.order.perform(window, access, () => {
        const raw = { ...call, ...placeRows(rank, args) };
        return rank.group.callSync((group) => group.combine(rank.idx, raw));
      });
      for (const rows of [args.x, args.topkWeights]) {
        if (rows?.storage.place?.window === window) rows.storage.seal();
      }
      window.countCombine();
      return {
        rank,
        combined: { ...combinedIn(rank, args, out, rank.follow(pending)), event },
        done: performed(rank, pending),
      };
    },
    abandon: (launched) => {
      combinedWhenDone(launched).catch(() => undefined);
    },
  };
}

/** Resolves where the combine was performed: what it tells of an earlier call is kept for who waits next. */
async function performed(rank: RankState, pending: Promise<void>): Promise<void> {
  try {
    await pending;
  } catch (error) {
    if (!isEarlierCallError(error)) throw rank.group.errorFrom(error);
  }
}

/**
 * The result once it is there, or at once where an event says when; a failed call's memory goes back. Also tells of an
 * error that no caller has heard of yet.
 */
export async function combinedWhenDone({
  rank,
  combined,
  done,
}: LaunchedCombine): Promise<AnyCombined> {
  if (combined.event !== null) {
    // Whoever reads the result hears of what went wrong.
    done.catch(() => undefined);
    return combined;
  }
  try {
    await done;
    rank.throwKeptError();
    return combined;
  } catch (error) {
    combined.x.dispose();
    combined.topkWeights?.dispose();
    throw error;
  }
}

function allocateOutputs(rank: RankState, { handle, topkWeights }: CombineArguments): Outputs {
  const { numTopk } = rank.group.dims;
  return allocateAll(rank, {
    x: handle.numTokens * rowBytes(rank),
    topkWeights: topkWeights === undefined ? 0 : handle.numTokens * numTopk * DTYPES.f32.bytes,
  });
}

/** What streams have to come after each other for. */
function accessOf(
  rank: RankState,
  { handle, x, expertSlot, topkWeights }: CombineArguments,
  { out, outWeights, bias0, bias1 }: ReturnType<typeof rawCall>,
): Access {
  const rows = [x, expertSlot, topkWeights].map((tensor) => tensor?.storage.pointer);
  const at = (pointer: bigint | undefined) => rank.resourcesAt(pointer);
  return {
    reads: [...rows, handle.block.pointer, bias0, bias1].flatMap(at),
    writes: [...[out, outWeights].flatMap(at), ...combineWrites(handle.window)],
  };
}

function rawCall({ handle, biases, grid, order }: CombineArguments, out: Outputs) {
  const [first, second] = biases;
  return {
    numTokens: handle.numTokens,
    handle: handle.block.pointer,
    out: out.x.pointer,
    outWeights: out.topkWeights.pointer,
    ...(first ? { bias0: first.storage.pointer } : {}),
    ...(second ? { bias1: second.storage.pointer } : {}),
    grid,
    window: handle.window.idx,
    stream: order.streamOf(handle.window),
  };
}

/** Brings what peers will read to where they can. */
function placeRows(
  rank: RankState,
  { handle, x, expertSlot, topkWeights, order }: CombineArguments,
): Pick<RawCombineCall, 'inputOffset' | 'weightsOffset'> {
  const { window } = handle;
  const stream = order.streamOf(window);
  const place = (rows: CheckedRows, bytesOfRow: number, offset: bigint) =>
    placeIn(window, rows, bytesOfRow, offset, stream);
  const inputOffset = expertSlot
    ? sumExperts(handle, { x, slot: expertSlot }, nextOutputOffset(window), stream)
    : place(x, rowBytes(rank), nextOutputOffset(window));
  if (topkWeights === undefined) return { inputOffset };
  const weightBytes = rank.group.dims.numTopk * DTYPES.f32.bytes;
  return { inputOffset, weightsOffset: place(topkWeights, weightBytes, nextWeightsOffset(window)) };
}

/** Refuses the window's buffer where it was taken for another handle. */
function assertOwnBuffer({ handle, x }: CombineArguments, path: string): void {
  const { window, dispatchName } = handle;
  const { place } = x.storage;
  if (place?.window !== window || place.offset !== nextOutputOffset(window)) return;
  window.inputs.assertFor(dispatchName, path);
}

/** Where peers will read rows: in place if they lie in the window, else in a copy of them at `offset`. */
function placeIn(
  window: WindowState,
  { storage, numRows }: CheckedRows,
  bytesOfRow: number,
  offset: bigint,
  stream: number,
): bigint {
  if (storage.place?.window === window) return storage.place.offset;
  const numBytes = numRows * bytesOfRow;
  if (numBytes > 0) window.rank.copy(window.base + offset, storage.pointer, numBytes, stream);
  return offset;
}

function combinedIn(
  rank: RankState,
  { handle, topkWeights }: CombineArguments,
  out: Outputs,
  arrival: ReturnType<RankState['follow']>,
): Omit<AnyCombined, 'event'> {
  const { dims, description } = rank.group;
  const { combineDtype } = description.spec;
  const { numTokens } = handle;
  const x = createTensor(combineDtype, [numTokens, dims.hidden], blockStorage(out.x, arrival));
  if (!highThroughputOf(rank.group).combineWeights) return { x };
  if (topkWeights === undefined) return { x, topkWeights: null };
  const storage = blockStorage(out.topkWeights, arrival);
  return { x, topkWeights: createTensor('f32', [numTokens, dims.numTopk], storage) };
}

function rowBytes({ group }: RankState): number {
  return group.dims.hidden * DTYPES[group.description.spec.combineDtype].bytes;
}
