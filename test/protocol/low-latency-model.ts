import {
  llBuffersFor,
  llRecvBuffersFor,
  numOutputBuffers,
  recvBuffersFor,
} from '../../generator/reuse.js';
import {
  combineCalls,
  dispatchCalls,
  type LowLatencyCall,
  lowLatencySequences,
  withUses,
} from './low-latency-calls.js';
import type { Model } from './model.js';

export interface Options extends Partial<Model> {
  readonly inFlight: number;
  readonly hasCredit?: boolean;
}

/** The protocol as the plan sizes it. */
export function planned(
  ranks: number,
  channels: number,
  { inFlight, hasCredit = false, ...options }: Options,
): Model {
  const lifetimes = { liveResults: 2, credit: false };
  return {
    ranks,
    channels,
    ...lifetimes,
    numRecvBuffers: recvBuffersFor(lifetimes),
    numOutputBuffers,
    llInFlight: inFlight,
    numLlRecvBuffers: llRecvBuffersFor({ inFlight, credit: hasCredit }),
    numLlCountBuffers: llBuffersFor(inFlight),
    numLlOutputBuffers: llBuffersFor(inFlight),
    features: { hasLlCredit: hasCredit },
    ...options,
  };
}

/** Dispatches, and combines of results that are there; callers do all that they may at any time. */
export function* everySequence(length: number, model: Model): Generator<readonly LowLatencyCall[]> {
  const dispatches = Array.from({ length: model.llInFlight ?? 0 }, () => 'llDispatch' as const);
  for (const before of [[], dispatches])
    for (const calls of lowLatencySequences(length, model, dispatchCalls, before))
      yield withUses(calls);
  const combines = dispatches.map(() => 'llCombine' as const);
  for (const before of [dispatches, [...dispatches, ...combines]])
    for (const calls of lowLatencySequences(length, model, combineCalls, before))
      yield withUses(calls);
}

export const isLowLatencyRegion = (region: string): boolean => region.startsWith('ll_');
