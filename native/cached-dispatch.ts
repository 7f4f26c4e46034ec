import { assertCall, assertObject, checkBoolean, checkNumChannels } from './arguments.js';
import { checkOrder, ORDER_KEYS } from './call-order.js';
import type { CachedReceived } from './call-types.js';
import type { Part } from './collective.js';
import { assertOutlives } from './dispatch-input.js';
import { checkPayload } from './dispatch-payload.js';
import { EpgenArgumentError } from './errors.js';
import { createEvent } from './event.js';
import { checkHandle, type Handle } from './handle.js';
import { highThroughputOf } from './high-throughput.js';
import { LowLatencyHandle } from './low-latency-handle.js';
import type { RankState } from './rank-state.js';
import { readyOf } from './ready-counters.js';
import { receiveWindow } from './receive-window.js';
import { payloadRows, rowsInArena } from './received-rows.js';
import { builtArguments } from './spec-features.js';
import type { Spec } from './spec-types.js';
import { MAIN_STREAM } from './stream-order.js';
import { dispatchWrites } from './window-resources.js';

const FEATURES = ['handle', 'xScales', 'extras'] as const;
const KEYS = ['x', 'numChannels', 'copy', ...ORDER_KEYS];
/** What a handle's own dispatch has settled. */
const SETTLED = [
  'topkIdx',
  'topkWeights',
  'layout',
  'expertAlignment',
  'numWorstTokens',
  'window',
] as const;

type Call = Readonly<Record<string, unknown>>;

/** Whether a dispatch goes along the routing of a handle. */
export function isCached(call: unknown): call is Call & { readonly handle: Handle } {
  return typeof call === 'object' && call !== null && isGiven((call as Call).handle);
}

/** A dispatch along the routing of a handle. It gives its results at once: how many rows come is known, or not waited for. */
export function cachedDispatchPart(
  rank: RankState,
  call: Call,
  path: string,
): Part<CachedReceived<Spec>> {
  const { description } = rank.group;
  const { recvX } = highThroughputOf(rank.group, 'dispatch');
  assertObject(path, call);
  const given = call.handle as Handle<Spec>;
  // First: a spec with ht.cached would take it no more than one without.
  if (given instanceof LowLatencyHandle) checkHandle(rank, given, `${path}handle`);
  const features = builtArguments(description.spec, path, call, FEATURES);
  assertOnlyRouting(call, path);
  assertCall(path, call, [...features, ...KEYS, ...SETTLED.filter((name) => call[name] === null)]);
  const handle = checkHandle(rank, given, `${path}handle`);
  const payload = checkPayload(rank, call, path);
  assertTokensOf(handle, payload.numTokens, path);
  const order = checkOrder(rank, call, path);
  const grid = checkNumChannels(rank, `${path}numChannels`, call.numChannels);
  const copies = checkBoolean(`${path}copy`, call.copy);
  if (copies) rank.group.refuseInCapture('a dispatch with copy: true');
  const { window } = handle;
  const access = () => ({
    reads: [...Object.values(payload.pointers), handle.block.pointer].flatMap((pointer) =>
      rank.resourcesAt(pointer),
    ),
    writes: dispatchWrites(window),
  });
  return {
    rank,
    window,
    kind: 'dispatch from a handle',
    dispatchName: handle.dispatchName,
    reserve: () => {
      checkHandle(rank, given, `${path}handle`);
      payload.recheck();
      assertOutlives(rank, window, payload.pointers, path);
      order.recheck();
    },
    cancel: () => undefined,
    launch: () => {
      const { numDispatches: sequence } = window;
      const { event } = order.perform(window, access, () =>
        rank.group.callSync((raw) =>
          raw.dispatch(rank.idx, {
            mode: 'cached',
            numTokens: payload.numTokens,
            ...payload.pointers,
            handle: handle.block.pointer,
            buffer: sequence % recvX.numBuffers,
            grid,
            window: window.idx,
            stream: order.streamOf(window),
            wait: false,
          }),
        ),
      );
      window.countDispatch();
      const { numRecoveries } = rank.group;
      const view = receiveWindow(window, { sequence, numRecoveries });
      const rows = payloadRows(rank, view, handle.numRows);
      return {
        ...(copies ? rowsInArena(rank, rows) : rows),
        ...readyOf(window, handle.block, sequence),
        handle: given,
        event: event !== null && copies ? createEvent(rank, rank.order.record(MAIN_STREAM)) : event,
      } as CachedReceived<Spec>;
    },
    abandon: () => undefined,
  };
}

function assertOnlyRouting(call: Call, path: string): void {
  const other = SETTLED.find((name) => isGiven(call[name]));
  if (other === undefined) return;
  throw new EpgenArgumentError(
    `Expected ${path}handle in place of ${path}${other} but received both`,
  );
}

function assertTokensOf(
  { numTokens }: { readonly numTokens: number },
  received: number,
  path: string,
) {
  if (received === numTokens) return;
  throw new EpgenArgumentError(
    `Expected ${path}x to have ${numTokens} rows, the tokens that ${path}handle sent, but received ${received}`,
  );
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
