import type { RawLlCombineCall, RawLlPhases } from './addon-types.js';
import { ArenaBlock } from './arena-block.js';
import type { Arrival } from './arrival.js';
import type { Part } from './collective.js';
import { DTYPES } from './dtype.js';
import { localGrid } from './local-grid.js';
import {
  checkLowLatencyCombine,
  type LowLatencyCombineArguments,
} from './low-latency-combine-arguments.js';
import { nextLowLatencyOutputOffset } from './low-latency-output-window.js';
import { assertApart, isInPlace } from './low-latency-overlaps.js';
import type { LowLatencyCombined } from './low-latency-types.js';
import { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import type { Spec } from './spec-types.js';
import { blockStorage, receivedStorage, type Storage } from './storage.js';
import type { Resource } from './stream-order.js';
import { createTensor } from './tensor.js';
import { callsOf, freedByLowLatencyCombine, lowLatencyInputOf } from './window-resources.js';

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

/** The sums on their way. An object of its own: what is read of it later refers to nothing else of the call. */
interface Landing {
  /** Undefined until the receive was enqueued. */
  arrival: Arrival | undefined;
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
      if (isInPlace(args)) window.lowLatency.inputs.assertFor(handle.dispatchName, path);
      assertApart(rank, args, path);
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
    isInPlace: isInPlace(args),
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
    return hasHook ? enqueueSend(sum) : enqueue(sum, 'both');
  });
  const receive = hasHook
    ? new PendingReceive(rank, {
        ...{ op: OP, sequence, handle: handle.block, memory: args.memory },
        others: [sum.own, order.callersStream],
      })
    : undefined;
  const landing: Landing = {
    arrival: pending === undefined ? undefined : rank.follow(pending),
  };
  const hook = receive?.hook(() => {
    landing.arrival = rank.follow(enqueueReceive(sum));
  });
  const storage = receivedStorage(sumStorage(sum, landing), receive);
  const shape = [handle.numTokens, rank.group.dims.hidden] as const;
  if (receive !== undefined) window.lowLatency.addSend('combine', receive);
  window.lowLatency.countCombine();
  return { x: createTensor('bf16', shape, storage), event, hook: hook ?? null };
}

function enqueueReceive(sum: Sum): Promise<void> {
  const { order, handle } = sum.args;
  const access = () => ({ reads: receiveReads(sum), writes: receiveWrites(sum) });
  return order.perform(handle.window, access, () => enqueue(sum, 'receive')).result;
}

/** Nobody waits for it: what goes wrong is told as that of a dispatch. */
function enqueueSend(sum: Sum): undefined {
  const { rank } = sum;
  return rank.group.callSync((raw) => raw.llCombine(rank.idx, rawCall(sum, 'send')));
}

function enqueue(sum: Sum, phases: 'receive' | 'both'): Promise<void> {
  const { rank } = sum;
  return rank.group.callSync((raw) => raw.llCombine(rank.idx, rawCall(sum, phases)));
}

function rawCall<P extends RawLlPhases>(
  { args, inputOffset, out }: Sum,
  phases: P,
): RawLlCombineCall & { readonly phases: P } {
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
function sumStorage({ rank, args, out }: Sum, landing: Landing): Storage {
  const given = args.out;
  const assertNotLost = (name: string) => landing.arrival?.assertNotLost(name);
  if (given === undefined) {
    const assertLive = (name: string) => {
      out.assertLive(name);
      assertNotLost(name);
    };
    return { ...out, assertLive, assertNotLost };
  }
  // What lies there is the graph's only once a replay has brought it, though the memory is not.
  const graph = rank.group.capture?.memory;
  return {
    ...out,
    assertLive: (name) => {
      given.recheck();
      graph?.assertLive(name);
      assertNotLost(name);
    },
    assertNotLost,
    release: () => undefined,
    owner: graph ?? out.owner,
  };
}

function outBytes(rank: RankState, { handle }: LowLatencyCombineArguments): number {
  return handle.numTokens * rank.group.dims.hidden * DTYPES.bf16.bytes;
}
