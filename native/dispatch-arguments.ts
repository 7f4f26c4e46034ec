import {
  assertCall,
  assertObject,
  checkBoolean,
  checkInteger,
  checkNumChannels,
} from './arguments.js';
import { type CallOrder, checkOrder, checkWindow, ORDER_KEYS } from './call-order.js';
import { assertOutlives } from './dispatch-input.js';
import { checkPayload, type Payload } from './dispatch-payload.js';
import { checkRouting, type Routing } from './dispatch-routing.js';
import { highThroughputOf } from './high-throughput.js';
import type { RankState } from './rank-state.js';
import { builtArguments } from './spec-features.js';
import type { WindowState } from './window-state.js';

const FEATURES = ['xScales', 'extras', 'layout', 'handle', 'numWorstTokens'] as const;
const KEYS = [
  'topkIdx',
  'topkWeights',
  'expertAlignment',
  'numChannels',
  'copy',
  'window',
  ...ORDER_KEYS,
];

/** What counts per expert can be rounded up to. */
const MAX_EXPERT_ALIGNMENT = 65536;

/** A dispatch call that was found right. */
export interface DispatchArguments {
  readonly payload: Payload;
  readonly routing: Routing;
  readonly grid: number;
  /** What counts per expert are rounded up to. */
  readonly expertAlignment: number;
  /** Rows that the caller sees, whatever comes; 0 for those that come. */
  readonly numWorstTokens: number;
  readonly copy: boolean;
  readonly window: WindowState;
  readonly order: CallOrder;
  /** Throws where a tensor is not usable any more. */
  recheck(): void;
}

/** Checks a whole dispatch call. `path` leads to the call in messages, as `perRank[3].`. */
export function checkDispatch(rank: RankState, call: unknown, path: string): DispatchArguments {
  rank.group.assertOpen();
  highThroughputOf(rank.group, 'dispatch');
  assertObject(path, call);
  const features = builtArguments(rank.group.description.spec, path, call, FEATURES);
  assertCall(path, call, ['x', ...features, ...KEYS]);
  const payload = checkPayload(rank, call, path);
  const routing = checkRouting(rank, call, path, payload.numTokens);
  const order = checkOrder(rank, call, path);
  const window = checkWindow(rank, `${path}window`, call.window);
  return {
    payload,
    routing,
    grid: checkNumChannels(rank, `${path}numChannels`, call.numChannels),
    expertAlignment: checkInteger(`${path}expertAlignment`, call.expertAlignment ?? 1, {
      min: 1,
      max: MAX_EXPERT_ALIGNMENT,
    }),
    numWorstTokens: checkInteger(`${path}numWorstTokens`, call.numWorstTokens ?? 0, {
      min: 0,
      max: rank.group.dims.maxRecvTokens,
    }),
    copy: checkBoolean(`${path}copy`, call.copy),
    window,
    order,
    recheck: () => {
      payload.recheck();
      routing.recheck();
      assertOutlives(rank, window, { ...payload.pointers, ...routing.pointers }, path);
      order.recheck();
    },
  };
}
