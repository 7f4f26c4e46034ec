import type { ReuseInput } from '../../generator/reuse.js';

/** A way to break the protocol. */
export type Mutation =
  | 'no count wait'
  | 'no arrival wait'
  | 'no ready wait'
  | 'no arrival and no ready wait'
  | 'no stream order'
  | 'arrivals awaited exactly'
  | 'one ready parity'
  | 'lazy ready words'
  | 'counts read after arrival'
  | 'no credit wait'
  | 'relaxed credit'
  | 'unreleased credit'
  | 'no credit wait in cached calls'
  | 'credit of the destination only'
  | 'no proxy fence after the credit'
  | 'proxy fence in the first block only'
  | 'no proxy fence before the pull'
  | LowLatencyMutation
  | FailureMutation;

/** A way to break low-latency calls. */
export type LowLatencyMutation =
  | 'll: no count wait'
  | 'll: no arrival wait'
  | 'll: counts read before arrivals'
  | 'll: one arrival counter for all sources'
  | 'll: arrivals awaited exactly'
  | 'll: arrival posted before rows'
  | 'll: counts published after arrivals'
  | 'll: no credit wait'
  | 'll: credit read, not awaited'
  | 'll: no arrival and no credit wait'
  | 'll: relaxed credit'
  | 'll: unreleased credit'
  | 'll: credit of the destination only'
  | 'll: no proxy fence after the credit'
  | 'll: no ready wait'
  | 'll: lazy ready words'
  | 'll: unreleased ready words'
  | 'll: no proxy fence before the pull'
  | HostMutation;

/** What the host refuses, and here doesn't. */
export type HostMutation =
  | 'host: any calls of so many may be in flight'
  | 'host: results live for a call more'
  | 'host: results are sent on for a call more'
  | 'host: inputs are given out before the pull'
  | 'host: a handle may have two combines in flight';

/** A way to break what happens once a rank gives up. */
export type FailureMutation =
  | 'no check at start'
  | 'no check before a combine succeeds'
  | 'no check before a dispatch succeeds'
  | 'a rank gives up silently'
  | 'an abort is not passed on'
  | 'reset keeps counts'
  | 'reset keeps ready words'
  | 'reset keeps arrivals'
  | 'reset keeps epochs'
  | 'reset keeps abort words'
  | 'reset keeps ll_counts'
  | 'reset keeps ll_started'
  | 'reset keeps ll_arrivals'
  | 'reset keeps ll_ready'
  | 'reset keeps ll epochs'
  | 'reset of each rank by itself';

export interface Model extends ReuseInput {
  readonly ranks: number;
  /** Channels of a call, each a thread of its own. */
  readonly channels: number;
  /** Of low-latency ready words, where not as many as output buffers. */
  readonly numLlReadyBuffers?: number;
  /** Whether rows have places that no count decides. */
  readonly isSlotted?: boolean;
  /** Whether kernels ask if a rank has given up: where waits can fail. */
  readonly checks?: boolean;
  readonly mutation?: Mutation;
}
