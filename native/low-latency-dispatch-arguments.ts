import { assertAsMany, assertCall, assertObject, checkRows } from './arguments.js';
import { type CallOrder, checkOrder, checkWindow, ORDER_KEYS } from './call-order.js';
import { assertOutlivesLowLatency } from './dispatch-input.js';
import {
  assertLasting,
  assertLowLatencyTokens,
  checkCumulativeStats,
  checkLowLatencyChannels,
  checkRecvHook,
  checkWaitStats,
  type LowLatency,
  lowLatencyOf,
  type Stats,
} from './low-latency-arguments.js';
import type { NamedStorage } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import { builtArguments } from './spec-features.js';
import type { WindowState } from './window-state.js';

const FEATURES = ['cumulativeStats', 'waitStats'] as const;
const KEYS = ['x', 'topkIdx', 'returnRecvHook', 'numChannels', 'window', ...ORDER_KEYS];

/** A low-latency dispatch call that was found right. */
export interface LowLatencyDispatchArguments {
  readonly lowLatency: LowLatency;
  readonly numTokens: number;
  readonly pointers: { readonly x: bigint; readonly topkIdx: bigint };
  readonly expertStats: Stats;
  readonly waitStats: Stats;
  /** What the receive adds to. */
  readonly memory: readonly NamedStorage[];
  /** Whether the receive is left to a hook. */
  readonly hasHook: boolean;
  readonly grid: number;
  readonly window: WindowState;
  readonly order: CallOrder;
  /** Throws where a tensor is not usable any more. */
  recheck(): void;
}

/** Checks a whole low-latency dispatch call. `path` leads to the call in messages, as `perRank[3].`. */
export function checkLowLatencyDispatch(
  rank: RankState,
  call: unknown,
  path: string,
): LowLatencyDispatchArguments {
  rank.group.assertOpen();
  const lowLatency = lowLatencyOf(rank, 'lowLatencyDispatch');
  assertObject(path, call);
  const { dims, description } = rank.group;
  const features = builtArguments(description.spec, path, call, FEATURES);
  assertCall(path, call, [...KEYS, ...features]);
  const x = checkRows(rank, call.x, {
    name: `${path}x`,
    dtype: 'bf16',
    rowSize: dims.hidden,
    rowSizeName: 'hidden',
  });
  const rows = { name: `${path}x`, size: x.numRows };
  assertLowLatencyTokens(rows.name, rows.size, lowLatency);
  const topkIdx = checkRows(rank, call.topkIdx, {
    name: `${path}topkIdx`,
    dtype: description.spec.topkIdx,
    rowSize: dims.numTopk,
    rowSizeName: 'topk',
  });
  assertAsMany('rows', { name: `${path}topkIdx`, size: topkIdx.numRows }, rows);
  const expertStats = checkCumulativeStats(rank, call.cumulativeStats, `${path}cumulativeStats`);
  const waitStats = checkWaitStats(rank, call.waitStats, `${path}waitStats`);
  const memory = [...expertStats.memory, ...waitStats.memory];
  const hasHook = checkRecvHook(call, path);
  if (hasHook) assertLasting(memory);
  const pointers = { x: x.storage.pointer, topkIdx: topkIdx.storage.pointer };
  const window = checkWindow(rank, `${path}window`, call.window);
  const order = checkOrder(rank, call, path);
  return {
    lowLatency,
    numTokens: x.numRows,
    pointers,
    expertStats,
    waitStats,
    memory,
    hasHook,
    grid: checkLowLatencyChannels(rank, `${path}numChannels`, call.numChannels, {
      ...lowLatency,
      numTokens: x.numRows,
    }),
    window,
    order,
    recheck: () => {
      for (const argument of [x, topkIdx, expertStats, waitStats, order]) argument.recheck();
      assertOutlivesLowLatency(rank, window, pointers, path);
    },
  };
}
