import type { RawLlCombineCall } from './addon-types.js';
import { ArenaBlock } from './arena-block.js';
import type { Arrival } from './arrival.js';
import type { Part } from './collective.js';
import { DTYPES } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { localGrid } from './local-grid.js';
import {
  checkLowLatencyCombine,
  type LowLatencyCombineArguments,
} from './low-latency-combine-arguments.js';
import { nextLowLatencyOutputOffset } from './low-latency-output-window.js';
import type { LowLatencyCombined } from './low-latency-types.js';
import { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import type { Spec } from './spec-types.js';
import { blockStorage, receivedStorage, type Storage } from './storage.js';
import type { Resource } from './stream-order.js';
import { createTensor } from './tensor.js';
import { callsOf, freedByLowLatencyCombine, lowLatencyInputOf } from './window-resources.js';
import type { WindowState } from './window-state.js';

const OP = 'lowLatencyCombine';

/** A low-latency combine that is being launched. */
interface Sum {
  readonly rank: RankState;
  readonly args: LowLatencyCombineArguments;
  /** The window's low-latency combines before this one. */
  readonly sequence: number;
  /** Where the expert outputs will lie in the window. */
  readonly inputOffset: bigint;
  /** Whether they lie there already. */
  readonly isInPlace: boolean;
  /** The call's own memory for the sums, where it gave none. */
  readonly own: ArenaBlock | undefined;
  /** Where the sums go. */
  readonly out: Storage;
}

/** A low-latency combine. `path` leads to the call in messages, as `perRank[3].`. */
export function lowLatencyCombinePart(
  rank: RankState,
  call: unknown,
  path = '',
): Part<LowLatencyCombined<Spec>> {
  const args = checkLowLatencyCombine(rank, call, path);
  const { handle } = args;
  const { window } = handle;
  let own: ArenaBlock | undefined;
  return {
    rank,
    window,
    kind: OP,
    dispatchName: handle.dispatchName,
    reserve: () => {
      args.recheck();
      window.lowLatency.assertRoom('combine');
      window.lowLatency.assertCombinable(handle.block, `${path}handle`);
      assertOwnBuffer(args, path);
      own = args.out === undefined ? new ArenaBlock(rank, outBytes(rank, args)) : undefined;
    },
    cancel: () => own?.free(),
    launch: () => launch(sumOf(rank, args, own)),
    abandon: ({ x }) => x.dispose(),
  };
}

function sumOf(
  rank: RankState,
  args: LowLatencyCombineArguments,
  own: ArenaBlock | undefined,
): Sum {
  const { window } = args.handle;
  const out = own === undefined ? args.out?.storage : blockStorage(own);
  if (out === undefined) throw new Error('a combine was launched without its output');
  const inputOffset = nextLowLatencyOutputOffset(window);
  return {
    rank,
    args,
    sequence: window.lowLatency.numCombines,
    inputOffset,
    isInPlace: isAt(args.x.storage, window, inputOffset),
    own,
    out,
  };
}

function launch(sum: Sum): LowLatencyCombined<Spec> {
  const { rank, args, sequence } = sum;
  const { handle, hasHook, order } = args;
  const { window } = handle;
  const access = () => ({
    reads: [...sendReads(sum), ...(hasHook ? [] : receiveReads(sum))],
    writes: [...sendWrites(sum), ...(hasHook ? [] : receiveWrites(sum))],
  });
  const { result: pending, event } = order.perform(window, access, () => {
    if (!sum.isInPlace) stage(sum);
    return enqueue(sum, hasHook ? 'send' : 'both');
  });
  const receive = hasHook
    ? new PendingReceive(rank, { op: OP, sequence, handle: handle.block, others: memoryOf(sum) })
    : undefined;
  let arrival: Arrival | undefined = receive === undefined ? rank.follow(pending) : undefined;
  // What a send alone is refused for, its receive is too.
  if (receive !== undefined) pending.catch(() => undefined);
  const hook = receive?.hook(() => {
    args.recheckReceive();
    arrival = rank.follow(enqueueReceive(sum));
  });
  const storage = receivedStorage(
    sumStorage(sum, () => arrival),
    receive,
  );
  const shape = [handle.numTokens, rank.group.dims.hidden] as const;
  if (receive !== undefined) window.lowLatency.addSend('combine', receive);
  window.lowLatency.countCombine();
  return { x: createTensor('bf16', shape, storage), event, hook: hook ?? null };
}

/** Blocks of the arena that the receive uses beside its handle. */
function memoryOf({ args, own }: Sum): readonly (ArenaBlock | undefined)[] {
  const { topkWeights, out, waitStats } = args;
  return [own, topkWeights.storage.block, out?.storage.block, waitStats.block];
}

function enqueueReceive(sum: Sum): Promise<void> {
  const { order, handle } = sum.args;
  const access = () => ({ reads: receiveReads(sum), writes: receiveWrites(sum) });
  return order.perform(handle.window, access, () => enqueue(sum, 'receive')).result;
}

function enqueue(sum: Sum, phases: RawLlCombineCall['phases']): Promise<void> {
  const { rank } = sum;
  return rank.group.callSync((raw) => raw.llCombine(rank.idx, rawCall(sum, phases)));
}

function rawCall(
  { args, inputOffset, out }: Sum,
  phases: RawLlCombineCall['phases'],
): RawLlCombineCall {
  const { handle, topkWeights, waitStats, grid, order } = args;
  const { pointer: stats } = waitStats;
  return {
    phases,
    numTokens: handle.numTokens,
    handle: handle.block.pointer,
    ...(phases === 'receive' ? {} : { inputOffset }),
    ...(phases === 'send' ? {} : { topkWeights: topkWeights.storage.pointer, out: out.pointer }),
    ...(phases === 'send' || stats === undefined ? {} : { waitStats: stats }),
    grid: phases === 'send' ? 1 : grid,
    window: handle.window.idx,
    stream: order.streamOf(handle.window),
  };
}

/** Copies the rows that came, as they travel, to where peers will read them. */
function stage({ rank, args, inputOffset }: Sum): void {
  const { handle, x, lowLatency, order } = args;
  const { numLocalExperts, numTopk } = rank.group.dims;
  const mostRows = lowLatency.maxRecvTokens * Math.min(numLocalExperts, numTopk);
  const call = {
    handle: handle.block.pointer,
    x: x.storage.pointer,
    outputOffset: inputOffset,
    grid: localGrid(rank, mostRows),
    window: handle.window.idx,
    stream: order.streamOf(handle.window),
  };
  rank.group.callSync((raw) => raw.llStage(rank.idx, call));
}

/** Refuses the window's buffer where it was taken for another handle: its rows lie elsewhere. */
function assertOwnBuffer({ handle, x }: LowLatencyCombineArguments, path: string): void {
  const { window } = handle;
  if (!isAt(x.storage, window, nextLowLatencyOutputOffset(window))) return;
  if (window.lowLatency.isOutputFor(handle)) return;
  throw new EpgenArgumentError(
    `Expected ${path}x to be the buffer of ${path}handle but received what rank.getNextLowLatencyCombineBuffer gave for another handle`,
  );
}

function isAt({ place }: Storage, window: WindowState, offset: bigint): boolean {
  return place?.window === window && place.offset === offset;
}

function sendReads({ rank, args, sequence }: Sum): Resource[] {
  const { window } = args.handle;
  return [...rank.resourcesAt(args.x.storage.pointer), lowLatencyInputOf(window, sequence)];
}

function sendWrites({ rank, args, sequence, isInPlace }: Sum): Resource[] {
  const { window, block } = args.handle;
  const staged = isInPlace ? [] : [lowLatencyInputOf(window, sequence)];
  return [callsOf(window), ...rank.resourcesAt(block.pointer), ...staged];
}

function receiveReads({ rank, args }: Sum): Resource[] {
  const { handle, topkWeights } = args;
  const pointers = [handle.block.pointer, topkWeights.storage.pointer];
  return pointers.flatMap((pointer) => rank.resourcesAt(pointer));
}

function receiveWrites({ rank, args, sequence, out }: Sum): Resource[] {
  const { window } = args.handle;
  return [
    callsOf(window),
    freedByLowLatencyCombine(window, sequence),
    ...[out.pointer, args.waitStats.pointer].flatMap((pointer) => rank.resourcesAt(pointer)),
  ];
}

/** The memory of the sums. A tensor that the caller gave outlives the one that is given back. */
function sumStorage({ args, out }: Sum, arrivalNow: () => Arrival | undefined): Storage {
  const given = args.out;
  return {
    ...out,
    assertLive: (name) => {
      if (given === undefined) out.assertLive(name);
      else given.recheck();
      arrivalNow()?.assertNotLost(name);
    },
    assertNotLost: (name) => arrivalNow()?.assertNotLost(name),
    ...(given === undefined ? {} : { release: () => undefined }),
  };
}

function outBytes(rank: RankState, { handle }: LowLatencyCombineArguments): number {
  return handle.numTokens * rank.group.dims.hidden * DTYPES.bf16.bytes;
}
