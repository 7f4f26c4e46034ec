import type { RawCounts, RawGroup } from './addon-types.js';
import { ArenaBlock } from './arena-block.js';
import { cachedDispatchPart, isCached } from './cached-dispatch.js';
import type { AnyReceived, CachedReceived, EnqueuedReceived } from './call-types.js';
import type { Part } from './collective.js';
import { checkDispatch, type DispatchArguments } from './dispatch-arguments.js';
import { EpgenUnsupportedError } from './errors.js';
import { createEvent, type Event } from './event.js';
import { createHandle, type Handle, handleBytes } from './handle.js';
import { highThroughputOf } from './high-throughput.js';
import type { RankState } from './rank-state.js';
import { readyOf } from './ready-counters.js';
import { receiveWindow } from './receive-window.js';
import { payloadRows, type Rows, rowsInArena, topkRows } from './received-rows.js';
import type { Spec } from './spec-types.js';
import { handleStorage } from './storage.js';
import { MAIN_STREAM } from './stream-order.js';
import { createTensor, type Tensor } from './tensor.js';
import { dispatchWrites } from './window-resources.js';

/** A dispatch that was launched, and where it delivers. */
interface Delivery {
  readonly rank: RankState;
  readonly args: DispatchArguments;
  readonly handle: ArenaBlock;
  readonly numRecoveries: number;
  /** The window's dispatches before this one. */
  readonly sequence: number;
}

/** A dispatch that resolves when its counts are known. `path` leads to the call in messages. */
export function dispatchPart(
  rank: RankState,
  call: unknown,
  path = '',
): Part<Promise<AnyReceived<Spec> | CachedReceived<Spec>>> {
  if (isCached(call)) return promised(cachedDispatchPart(rank, call, path));
  const args = checkDispatch(rank, call, path);
  const launch = (delivery: Delivery) => {
    if (args.numWorstTokens > 0) return Promise.resolve(padded(delivery));
    const { result: pending, event } = inOrder(delivery, (raw) =>
      raw.dispatch(rank.idx, { ...rawCall(delivery), wait: true }),
    );
    return receive(pending, delivery, event);
  };
  return partOf(rank, args, launch, (received) => {
    received.then(
      ({ handle }) => handle.dispose(),
      () => undefined,
    );
  });
}

/** A dispatch that gives its results at once, as large as they can get. */
export function enqueuedDispatchPart(
  rank: RankState,
  call: unknown,
  path = '',
): Part<EnqueuedReceived<Spec> | CachedReceived<Spec>> {
  if (isCached(call)) return cachedDispatchPart(rank, call, path);
  const args = checkDispatch(rank, call, path);
  if (args.copy) {
    throw new EpgenUnsupportedError(
      `Expected ${path}copy to be false: enqueueDispatch does not know how many rows to copy; dispatch does`,
    );
  }
  const launch = (delivery: Delivery) => {
    const event = enqueue(delivery);
    const { dims } = rank.group;
    const { handle } = highThroughputOf(rank.group);
    const { numRecvTokens, numTokensPerExpert, numTokensPerRank } = handle.fields;
    const count = (offset: number) =>
      handleStorage(delivery.handle, offset, delivery.numRecoveries);
    const rows = rowsInWindow(delivery, args.numWorstTokens || dims.maxRecvTokens);
    return {
      ...resultOf(delivery, rows),
      numRecvTokens: createTensor('i32', [1], count(numRecvTokens)),
      numTokensPerExpert: createTensor('i32', [dims.numLocalExperts], count(numTokensPerExpert)),
      ...(numTokensPerRank === undefined
        ? {}
        : { numTokensPerRank: createTensor('i32', [dims.numRanks], count(numTokensPerRank)) }),
      handle: handleOf(delivery, rows, undefined),
      event,
    } as EnqueuedReceived<Spec>;
  };
  return partOf(rank, args, launch, ({ handle }) => handle.dispose());
}

/** A dispatch that waits for no counts: as many rows as the call asks for, the last ones padding. */
function padded(delivery: Delivery): AnyReceived<Spec> {
  const { rank, args } = delivery;
  const event = enqueue(delivery);
  const rows = rowsInWindow(delivery, args.numWorstTokens);
  return {
    ...resultOf(delivery, args.copy ? rowsInArena(rank, rows) : rows),
    numTokensPerExpert: new Int32Array(),
    handle: handleOf(delivery, rows, undefined),
    event: whenThere(delivery, event),
  } as AnyReceived<Spec>;
}

function enqueue(delivery: Delivery): Event | null {
  const { idx } = delivery.rank;
  return inOrder(delivery, (raw) => raw.dispatch(idx, { ...rawCall(delivery), wait: false })).event;
}

/** Copies are made on the rank's own stream, after `event`. */
function whenThere({ rank, args }: Delivery, event: Event | null): Event | null {
  return event !== null && args.copy ? createEvent(rank, rank.order.record(MAIN_STREAM)) : event;
}

/** The same part, of what comes later. */
function promised<T>(part: Part<T>): Part<Promise<T>> {
  return {
    ...part,
    launch: () => Promise.resolve(part.launch()),
    abandon: (launched) => void launched.then(part.abandon),
  };
}

async function receive(
  pending: Promise<RawCounts>,
  delivery: Delivery,
  event: Event | null,
): Promise<AnyReceived<Spec>> {
  const { rank, args } = delivery;
  try {
    const counts = await rank.group.settle(pending);
    const { isSlotted, maxRecvTokens } = rank.group.dims;
    const rows = rowsInWindow(delivery, isSlotted ? maxRecvTokens : counts.numRecvTokens);
    const result = resultOf(delivery, args.copy ? rowsInArena(rank, rows) : rows);
    return {
      ...result,
      // The handle keeps its own: this one is the caller's to change.
      numTokensPerExpert: Int32Array.from(counts.numTokensPerExpert),
      ...(isSlotted ? { numTokensPerRank: counts.numTokensPerRank } : {}),
      handle: handleOf(delivery, rows, counts),
      event: whenThere(delivery, event),
    } as AnyReceived<Spec>;
  } catch (error) {
    delivery.handle.free();
    throw error;
  }
}

function partOf<T>(
  rank: RankState,
  args: DispatchArguments,
  launch: (delivery: Delivery) => T,
  abandon: (launched: T) => void,
): Part<T> {
  const { dims } = rank.group;
  const { handle: layout } = highThroughputOf(rank.group);
  const { numTokens } = args.payload;
  let handle: ArenaBlock | undefined;
  return {
    rank,
    window: args.window,
    kind: args.routing.kind,
    reserve: () => {
      args.recheck();
      handle = new ArenaBlock(rank, handleBytes(layout, dims.numRanks, numTokens));
    },
    cancel: () => handle?.free(),
    launch: () => {
      if (handle === undefined) throw new Error('a dispatch was launched without its handle');
      const { numRecoveries } = rank.group;
      const sequence = args.window.numDispatches;
      const result = launch({ rank, args, handle, numRecoveries, sequence });
      args.window.countDispatch();
      return result;
    },
    abandon,
  };
}

/** Launches a dispatch after all that it depends on. */
function inOrder<T>({ rank, args, handle }: Delivery, launch: (raw: RawGroup) => T) {
  const { payload, routing, window } = args;
  const access = () => ({
    reads: Object.values({ ...payload.pointers, ...routing.pointers }).flatMap((pointer) =>
      rank.resourcesAt(pointer),
    ),
    writes: [...rank.resourcesAt(handle.pointer), ...dispatchWrites(window)],
  });
  return args.order.perform(window, access, () => rank.group.callSync(launch));
}

function rawCall({ rank, args, handle, sequence }: Delivery) {
  const { payload, routing, grid } = args;
  return {
    mode: routing.mode,
    numTokens: payload.numTokens,
    ...payload.pointers,
    ...routing.pointers,
    handle: handle.pointer,
    buffer: sequence % highThroughputOf(rank.group).recvX.numBuffers,
    grid,
    expertAlignment: args.expertAlignment,
    numWorstTokens: args.numWorstTokens,
    window: args.window.idx,
    stream: args.order.streamOf(args.window),
  };
}

interface WindowRows extends Rows {
  readonly srcIdx: Tensor<'i32', readonly [number]>;
}

function rowsInWindow(
  { rank, args, sequence, numRecoveries }: Delivery,
  numRows: number,
): WindowRows {
  const view = receiveWindow(args.window, { sequence, numRecoveries });
  return {
    ...payloadRows(rank, view, numRows),
    ...(args.routing.mode === 'topk' ? topkRows(rank, view, numRows) : {}),
    srcIdx: createTensor('i32', [numRows], view('recvSrcIdx')),
  };
}

function resultOf(
  { args, handle, sequence }: Delivery,
  rows: Rows,
): Readonly<Record<string, unknown>> {
  return {
    ...rows,
    ...(args.routing.mode === 'topk' ? {} : { topkIdx: null, topkWeights: null }),
    ...readyOf(args.window, handle, sequence),
  };
}

function handleOf(
  delivery: Delivery,
  { srcIdx }: WindowRows,
  counts: RawCounts | undefined,
): Handle {
  const { rank, args, handle, numRecoveries } = delivery;
  const { numTokens } = args.payload;
  const parts = {
    rank,
    window: args.window,
    block: handle,
    dispatchName: nameOf(delivery),
    numTokens,
    numRecvTokens: counts?.numRecvTokens,
    numRows: srcIdx.shape[0],
    expertAlignment: args.expertAlignment,
    numTokensPerExpert: counts?.numTokensPerExpert,
    srcIdx,
  };
  return createHandle(parts, numRecoveries);
}

/** What all ranks call the dispatch, and all replays of its graph. */
function nameOf({ rank, handle, sequence }: Delivery): string {
  const { owner } = handle;
  if (owner === undefined) return `dispatch ${sequence + 1}`;
  return `call ${rank.group.log.numCalls(rank.idx) + 1} of graph ${owner.number}`;
}
