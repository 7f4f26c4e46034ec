import type { RawLlDispatchCall } from './addon-types.js';
import { ArenaBlock } from './arena-block.js';
import type { Part } from './collective.js';
import {
  checkLowLatencyDispatch,
  type LowLatencyDispatchArguments,
} from './low-latency-dispatch-arguments.js';
import {
  createLowLatencyHandle,
  lowLatencyHandleBytes,
  lowLatencyHandleLayout,
} from './low-latency-handle.js';
import type { LowLatencyReceived } from './low-latency-types.js';
import { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import { lowLatencyReceiveWindow } from './receive-window.js';
import type { Spec } from './spec-types.js';
import { handleStorage, receivedStorage } from './storage.js';
import type { Access, Resource } from './stream-order.js';
import { type AnyTensor, createTensor } from './tensor.js';
import { callsOf, lowLatencyDispatchWrites, lowLatencyReceivedBy } from './window-resources.js';

const OP = 'lowLatencyDispatch';

/** A low-latency dispatch that was sent, and where it delivers. */
interface Delivery {
  readonly rank: RankState;
  readonly args: LowLatencyDispatchArguments;
  readonly handle: ArenaBlock;
  readonly numRecoveries: number;
  /** The window's low-latency dispatches before this one. */
  readonly sequence: number;
  /** Where a hook receives. */
  readonly receive: PendingReceive | undefined;
}

/** A low-latency dispatch. `path` leads to the call in messages, as `perRank[3].`. */
export function lowLatencyDispatchPart(
  rank: RankState,
  call: unknown,
  path = '',
): Part<LowLatencyReceived<Spec>> {
  const args = checkLowLatencyDispatch(rank, call, path);
  const { window } = args;
  let handle: ArenaBlock | undefined;
  return {
    rank,
    window,
    kind: OP,
    reserve: () => {
      args.recheck();
      window.lowLatency.assertRoom('dispatch');
      handle = new ArenaBlock(rank, lowLatencyHandleBytes(rank, args.numTokens));
    },
    cancel: () => handle?.free(),
    launch: () => {
      if (handle === undefined) throw new Error('a dispatch was launched without its handle');
      return launch(rank, args, handle);
    },
    abandon: (received) => received.handle.dispose(),
  };
}

function launch(
  rank: RankState,
  args: LowLatencyDispatchArguments,
  handle: ArenaBlock,
): LowLatencyReceived<Spec> {
  const { window, order } = args;
  const sequence = window.lowLatency.numDispatches;
  const phases = args.hasHook ? 'send' : 'both';
  const access = () => sendAccess(rank, args, handle);
  const { event } = order.perform(window, access, () => {
    rank.group.callSync((raw) => raw.llDispatch(rank.idx, rawCall(args, handle, phases)));
  });
  const { memory } = args;
  const others = [order.callersStream];
  const receive = args.hasHook
    ? new PendingReceive(rank, { op: OP, sequence, handle, memory, others })
    : undefined;
  const { numRecoveries } = rank.group;
  const delivery = { rank, args, handle, numRecoveries, sequence, receive };
  const result = { ...resultOf(delivery), event, hook: hookOf(delivery) };
  if (receive !== undefined) window.lowLatency.addSend('dispatch', receive);
  window.lowLatency.countDispatch();
  return result as LowLatencyReceived<Spec>;
}

/** What enqueues the receive, where the call asked for it. */
function hookOf({ rank, args, handle, sequence, receive }: Delivery): (() => void) | null {
  if (receive === undefined) return null;
  const { window, order } = args;
  return receive.hook(() => {
    const access = () => ({
      reads: [],
      writes: [
        callsOf(window),
        lowLatencyReceivedBy(window, sequence),
        ...rank.resourcesAt(handle.pointer),
        ...statsOf(rank, args),
      ],
    });
    order.perform(window, access, () => {
      rank.group.callSync((raw) => raw.llDispatch(rank.idx, rawCall(args, handle, 'receive')));
    });
  });
}

/** What streams have to come after each other for. */
function sendAccess(
  rank: RankState,
  args: LowLatencyDispatchArguments,
  handle: ArenaBlock,
): Access {
  return {
    reads: Object.values(args.pointers).flatMap((pointer) => rank.resourcesAt(pointer)),
    writes: [
      ...rank.resourcesAt(handle.pointer),
      ...lowLatencyDispatchWrites(args.window),
      ...(args.hasHook ? [] : statsOf(rank, args)),
    ],
  };
}

function statsOf(
  rank: RankState,
  { expertStats, waitStats }: LowLatencyDispatchArguments,
): Resource[] {
  return [expertStats, waitStats].flatMap(({ pointer }) => rank.resourcesAt(pointer));
}

function rawCall(
  { numTokens, pointers, expertStats, waitStats, grid, window, order }: LowLatencyDispatchArguments,
  handle: ArenaBlock,
  phases: RawLlDispatchCall['phases'],
): RawLlDispatchCall {
  return {
    phases,
    numTokens,
    ...(phases === 'receive' ? {} : pointers),
    handle: handle.pointer,
    ...(phases === 'send' ? {} : definedOf({ expertStats, waitStats })),
    grid: phases === 'receive' ? 1 : grid,
    window: window.idx,
    stream: order.streamOf(window),
  };
}

function definedOf({
  expertStats,
  waitStats,
}: Pick<LowLatencyDispatchArguments, 'expertStats' | 'waitStats'>) {
  return {
    ...(expertStats.pointer === undefined ? {} : { expertStats: expertStats.pointer }),
    ...(waitStats.pointer === undefined ? {} : { waitStats: waitStats.pointer }),
  };
}

/** The tensors and the handle of what arrives. */
function resultOf(delivery: Delivery): Readonly<Record<string, unknown>> {
  const { rank, args, handle, numRecoveries, sequence, receive } = delivery;
  const { hidden, numLocalExperts } = rank.group.dims;
  const { lowLatency, window } = args;
  const view = lowLatencyReceiveWindow(window, { sequence, numRecoveries }, receive);
  const rows = [numLocalExperts, lowLatency.maxRecvTokens] as const;
  const counts = handleStorage(
    handle,
    lowLatencyHandleLayout(rank).fields.numTokensPerExpert,
    numRecoveries,
  );
  const parts = {
    rank,
    window,
    block: handle,
    dispatchName: nameOf(delivery),
    numTokens: args.numTokens,
    srcInfo: createTensor('i32', rows, view('llRecvSrcIdx')),
    receive,
  };
  return {
    x: createTensor(lowLatency.dtype, [...rows, hidden], view('llRecvX')),
    ...(lowLatency.numScaleWords > 0 ? { xScales: scalesOf(delivery, view) } : {}),
    numTokensPerExpert: createTensor('i32', [numLocalExperts], receivedStorage(counts, receive)),
    handle: createLowLatencyHandle(parts, numRecoveries),
  };
}

function scalesOf(
  { rank, args }: Delivery,
  view: ReturnType<typeof lowLatencyReceiveWindow>,
): AnyTensor {
  const { scaleDtype, numScaleWords, scaleColumnWords, maxRecvTokens } = args.lowLatency;
  const dtype = scaleDtype === 'f32' ? 'f32' : 'i32';
  const ofExpert =
    scaleColumnWords > 0 ? [numScaleWords, scaleColumnWords] : [maxRecvTokens, numScaleWords];
  return createTensor(dtype, [rank.group.dims.numLocalExperts, ...ofExpert], view('llRecvXScales'));
}

/** What all ranks call the dispatch, and all replays of its graph. */
function nameOf({ rank, handle, sequence }: Delivery): string {
  const { owner } = handle;
  if (owner === undefined) return `${OP} ${sequence + 1}`;
  return `call ${rank.group.log.numCalls(rank.idx) + 1} of graph ${owner.number}`;
}
