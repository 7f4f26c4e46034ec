import {
  assertCall,
  assertObject,
  assertWritable,
  type CheckedRows,
  type CheckedTensor,
  checkRows,
  checkShaped,
} from './arguments.js';
import { type CallOrder, checkOrder, ORDER_KEYS } from './call-order.js';
import { EpgenArgumentError } from './errors.js';
import {
  assertLasting,
  checkLowLatencyChannels,
  checkRecvHook,
  checkWaitStats,
  type LowLatency,
  lowLatencyOf,
  type Stats,
} from './low-latency-arguments.js';
import { checkLowLatencyHandle, type LowLatencyHandleParts } from './low-latency-handle.js';
import type { NamedStorage } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import { builtArguments } from './spec-features.js';

const FEATURES = ['waitStats'] as const;
const KEYS = ['x', 'topkWeights', 'handle', 'out', 'returnRecvHook', 'numChannels', ...ORDER_KEYS];

/** A low-latency combine call that was found right. */
export interface LowLatencyCombineArguments {
  readonly lowLatency: LowLatency;
  readonly handle: LowLatencyHandleParts;
  readonly x: CheckedTensor;
  readonly topkWeights: CheckedRows;
  /** Where the sums go, if the call says so. */
  readonly out: CheckedRows | undefined;
  readonly waitStats: Stats;
  /** Whether the receive is left to a hook. */
  readonly hasHook: boolean;
  readonly grid: number;
  readonly order: CallOrder;
  /** What the receive reads and writes of the caller's. */
  readonly memory: readonly NamedStorage[];
  /** Throws where the handle or a tensor is not usable any more. */
  recheck(): void;
}

/** Checks a whole low-latency combine call. `path` leads to the call in messages, as `perRank[3].`. */
export function checkLowLatencyCombine(
  rank: RankState,
  call: unknown,
  path: string,
): LowLatencyCombineArguments {
  rank.group.assertOpen();
  const lowLatency = lowLatencyOf(rank, 'lowLatencyCombine');
  assertObject(path, call);
  const features = builtArguments(rank.group.description.spec, path, call, FEATURES);
  assertCall(path, call, [...KEYS, ...features]);
  const given = call.handle;
  const handle = checkReceivedHandle(rank, given, `${path}handle`);
  const { numTokens } = handle;
  const x = checkOutputs(rank, call.x, `${path}x`, lowLatency);
  const topkWeights = checkTopkWeights(rank, handle, call.topkWeights, `${path}topkWeights`);
  const out = checkOut(rank, handle, call.out, `${path}out`);
  const waitStats = checkWaitStats(rank, call.waitStats, `${path}waitStats`);
  const order = checkOrder(rank, call, path);
  const hasHook = checkRecvHook(call, path);
  const memory = [
    { name: `${path}topkWeights`, storage: topkWeights.storage },
    ...(out === undefined ? [] : [{ name: `${path}out`, storage: out.storage }]),
    ...waitStats.memory,
  ];
  if (hasHook) assertLasting(memory);
  return {
    lowLatency,
    handle,
    x,
    topkWeights,
    out,
    waitStats,
    hasHook,
    grid: checkLowLatencyChannels(rank, `${path}numChannels`, call.numChannels, {
      ...lowLatency,
      numTokens,
    }),
    order,
    memory,
    recheck: () => {
      order.recheck();
      checkReceivedHandle(rank, given, `${path}handle`);
      for (const argument of [x, topkWeights, waitStats, out]) argument?.recheck();
      if (out !== undefined) assertWritable(out, `${path}out`);
    },
  };
}

function checkReceivedHandle(
  rank: RankState,
  handle: unknown,
  name: string,
): LowLatencyHandleParts {
  const parts = checkLowLatencyHandle(rank, handle, name);
  parts.receive?.assertEnqueued(name);
  return parts;
}

function checkOutputs(
  rank: RankState,
  value: unknown,
  name: string,
  { maxRecvTokens }: LowLatency,
): CheckedTensor {
  const { numLocalExperts, hidden } = rank.group.dims;
  return checkShaped(rank, value, {
    name,
    dtype: 'bf16',
    sizes: [numLocalExperts, maxRecvTokens, hidden],
    sizeNames: 'experts / ranks, ranks * ll.maxTokensPerRank and hidden',
  });
}

function checkTopkWeights(
  rank: RankState,
  handle: LowLatencyHandleParts,
  value: unknown,
  name: string,
): CheckedRows {
  const { numTopk } = rank.group.dims;
  const wanted = { name, dtype: 'f32', rowSize: numTopk, rowSizeName: 'topk' } as const;
  const weights = checkRows(rank, value, wanted);
  assertTokensOf(handle, weights.numRows, name);
  return weights;
}

function checkOut(
  rank: RankState,
  handle: LowLatencyHandleParts,
  value: unknown,
  name: string,
): CheckedRows | undefined {
  if (value === undefined || value === null) return undefined;
  const { hidden } = rank.group.dims;
  const wanted = { name, dtype: 'bf16', rowSize: hidden, rowSizeName: 'hidden' } as const;
  const out = checkRows(rank, value, wanted);
  assertTokensOf(handle, out.numRows, name);
  assertWritable(out, name);
  return out;
}

function assertTokensOf(
  { numTokens }: LowLatencyHandleParts,
  received: number,
  name: string,
): void {
  if (received === numTokens) return;
  throw new EpgenArgumentError(
    `Expected ${name} to have ${numTokens} rows, the tokens that the handle sent, but received ${received}`,
  );
}
