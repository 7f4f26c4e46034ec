import type { RawCounts } from './addon-types.js';
import { ArenaBlock, allocateAll } from './arena-block.js';
import type { EnqueuedReceived, Received, ReceivedRows } from './call-types.js';
import type { Part } from './collective.js';
import { checkDispatch, type DispatchArguments } from './dispatch-arguments.js';
import { countElements, DTYPES, type DType } from './dtype.js';
import { EpgenUnsupportedError } from './errors.js';
import { createHandle, type Handle, handleBytes } from './handle.js';
import type { RankState } from './rank-state.js';
import { receiveWindow } from './receive-window.js';
import type { Spec } from './spec-types.js';
import { blockStorage, handleStorage } from './storage.js';
import { type AnyTensor, createTensor, type Tensor, usableStorage } from './tensor.js';

/** Where a launched dispatch delivers. */
interface Delivery {
  readonly rank: RankState;
  readonly handle: ArenaBlock;
  readonly numTokens: number;
  readonly numRecoveries: number;
  /** The rank's dispatches before this one. */
  readonly sequence: number;
}

/** A dispatch that resolves when its counts are known. `path` leads to the call in messages. */
export function dispatchPart(
  rank: RankState,
  call: unknown,
  path = '',
): Part<Promise<Received<Spec>>> {
  const args = checkDispatch(rank, call, path);
  const launch = (delivery: Delivery) => {
    const pending = rank.group.callSync((raw) =>
      raw.dispatch(rank.idx, { ...rawCall(args, delivery), wait: true }),
    );
    return receive(pending, delivery, args.copy);
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
): Part<EnqueuedReceived<Spec>> {
  const args = checkDispatch(rank, call, path);
  if (args.copy) {
    throw new EpgenUnsupportedError(
      `Expected ${path}copy to be false: enqueueDispatch does not know how many rows to copy; dispatch does`,
    );
  }
  const launch = (delivery: Delivery) => {
    rank.group.callSync((raw) =>
      raw.dispatch(rank.idx, { ...rawCall(args, delivery), wait: false }),
    );
    const { dims, description } = rank.group;
    const { numRecvTokens, numTokensPerExpert } = description.handle.fields;
    const count = (offset: number) =>
      handleStorage(delivery.handle, offset, delivery.numRecoveries);
    return {
      ...rowsInWindow(delivery, dims.maxRecvTokens),
      numRecvTokens: createTensor('i32', [1], count(numRecvTokens)),
      numTokensPerExpert: createTensor('i32', [dims.numLocalExperts], count(numTokensPerExpert)),
      handle: handleOf(delivery, undefined),
    };
  };
  return partOf(rank, args, launch, ({ handle }) => handle.dispose());
}

async function receive(
  pending: Promise<RawCounts>,
  delivery: Delivery,
  copy: boolean,
): Promise<Received<Spec>> {
  try {
    const { numRecvTokens, numTokensPerExpert } = await delivery.rank.group.settle(pending);
    const rows = rowsInWindow(delivery, numRecvTokens);
    return {
      ...(copy ? rowsInArena(delivery.rank, rows) : rows),
      numTokensPerExpert,
      handle: handleOf(delivery, numRecvTokens),
    };
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
  const { dims, description } = rank.group;
  let handle: ArenaBlock | undefined;
  return {
    rank,
    kind: 'dispatch',
    reserve: () => {
      args.recheck();
      handle = new ArenaBlock(rank, handleBytes(description.handle, dims.numRanks, args.numTokens));
    },
    cancel: () => handle?.free(),
    launch: () => {
      if (handle === undefined) throw new Error('a dispatch was launched without its handle');
      const { numRecoveries } = rank.group;
      const sequence = rank.numDispatches;
      const { numTokens } = args;
      const result = launch({ rank, handle, numTokens, numRecoveries, sequence });
      rank.countDispatch();
      return result;
    },
    abandon,
  };
}

function rawCall(args: DispatchArguments, { rank, handle, sequence }: Delivery) {
  return {
    numTokens: args.numTokens,
    x: args.x.pointer,
    topkIdx: args.topkIdx.pointer,
    topkWeights: args.topkWeights.pointer,
    handle: handle.pointer,
    buffer: sequence % rank.group.description.sizes.regions.recvX.numBuffers,
    grid: args.grid,
  };
}

function handleOf(delivery: Delivery, numRecvTokens: number | undefined): Handle {
  const { rank, handle, numTokens, numRecoveries } = delivery;
  return createHandle({ rank, block: handle, numTokens, numRecvTokens }, numRecoveries);
}

type Rows = Omit<ReceivedRows<Spec>, 'handle'>;

function rowsInWindow({ rank, sequence, numRecoveries }: Delivery, numRows: number): Rows {
  const { hidden, numTopk } = rank.group.dims;
  const view = receiveWindow(rank, sequence, numRecoveries);
  return {
    x: createTensor('bf16', [numRows, hidden], view('recvX')),
    topkIdx: createTensor('i64', [numRows, numTopk], view('recvTopkIdx')),
    topkWeights: createTensor('f32', [numRows, numTopk], view('recvTopkWeights')),
    srcIdx: createTensor('i32', [numRows], view('recvSrcIdx')),
  };
}

/** Copies rows out of the window. They may have gone to a later dispatch while the counts were awaited: that throws. */
function rowsInArena(rank: RankState, rows: Rows): Rows {
  const from = {
    x: usableStorage(rows.x, 'received.x'),
    topkIdx: usableStorage(rows.topkIdx, 'received.topkIdx'),
    topkWeights: usableStorage(rows.topkWeights, 'received.topkWeights'),
    srcIdx: usableStorage(rows.srcIdx, 'received.srcIdx'),
  };
  const blocks = allocateAll(rank, {
    x: numBytes(rows.x),
    topkIdx: numBytes(rows.topkIdx),
    topkWeights: numBytes(rows.topkWeights),
    srcIdx: numBytes(rows.srcIdx),
  });
  for (const name of ['x', 'topkIdx', 'topkWeights', 'srcIdx'] as const) {
    const size = numBytes(rows[name]);
    const { pointer } = blocks[name];
    if (size === 0) continue;
    rank.group.callSync((raw) => raw.copy(rank.idx, pointer, from[name].pointer, size));
  }
  // The rows may still be travelling: a group that gives up on them never makes the copies.
  const arrival = rank.enqueuedSoFar();
  const copy = <D extends DType, S extends readonly number[]>(
    view: Tensor<D, S>,
    name: keyof Rows,
  ): Tensor<D, S> => createTensor(view.dtype, view.shape, blockStorage(blocks[name], arrival));
  return {
    x: copy(rows.x, 'x'),
    topkIdx: copy(rows.topkIdx, 'topkIdx'),
    topkWeights: copy(rows.topkWeights, 'topkWeights'),
    srcIdx: copy(rows.srcIdx, 'srcIdx'),
  };
}

function numBytes({ dtype, shape }: AnyTensor): number {
  return countElements(shape) * DTYPES[dtype].bytes;
}
