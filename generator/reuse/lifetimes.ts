import type { Features } from '../features.js';

/** How long what lies in the window is needed, and how many buffers that takes. */
export interface ReuseInput extends Partial<LowLatencyBuffers> {
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
  readonly liveResults: number;
  readonly credit: boolean;
}

/** Of low-latency calls. */
export interface LowLatencyBuffers {
  /** Calls of a kind that may be under way, and results that live; 0 where there are no such calls. */
  readonly llInFlight: number;
  readonly numLlRecvBuffers: number;
  readonly numLlCountBuffers: number;
  readonly numLlOutputBuffers: number;
  readonly features: Pick<Features, 'hasLlCredit'>;
}

/**
 * Ready words and output buffers alternate: the ready words of the next combine prove that this one
 * has ended.
 */
export const numOutputBuffers = 2;

/**
 * Receive buffers that keep `liveResults` results alive; a credit, awaited before rows are written,
 * saves one.
 */
export function recvBuffersFor({
  liveResults,
  credit,
}: Pick<ReuseInput, 'liveResults' | 'credit'>): number {
  return credit ? liveResults : liveResults + 1;
}

/**
 * How many dispatches later a result may still be sent on: the next one after those writes into its
 * buffer, which with credit happens while the result lives.
 */
export function lastSendOf(lifetimes: Pick<ReuseInput, 'liveResults' | 'credit'>): number {
  return recvBuffersFor(lifetimes) - 1;
}

/**
 * Low-latency sends wait for nobody, so that words and buffers are needed for as many calls as are
 * under way, and for as many again until that is known.
 */
export function llBuffersFor(inFlight: number): number {
  return 2 * inFlight;
}

/** Receive buffers of low-latency calls; with credit a send waits until what it writes over is not needed. */
export function llRecvBuffersFor({
  inFlight,
  credit,
}: {
  readonly inFlight: number;
  readonly credit: boolean;
}): number {
  return credit ? inFlight : llBuffersFor(inFlight);
}

/** How many low-latency dispatches later a low-latency result may still be sent on by one. */
export function llLastSendOf({
  inFlight,
  credit,
}: {
  readonly inFlight: number;
  readonly credit: boolean;
}): number {
  return credit ? inFlight - 1 : inFlight;
}
