/** A region of the window that is written more than once, a pair of accesses to it, and what orders the two. */

/**
 * A region of the window; `recv` stands for all recv_* regions of one receive buffer, `ready` and `output` also for
 * ready_weights and output_weights: a ready word covers what it does and comes with what it says. Those of
 * low-latency calls have names of their own; `ll_handle` are the epochs in a handle, which lies in the arena.
 */
export type ReuseRegion =
  | 'rank_counts'
  | 'expert_counts'
  | 'arrivals'
  | 'ready'
  | 'recv'
  | 'output'
  | 'dispatch_epoch'
  | 'dispatch_ticket'
  | 'combine_epoch'
  | LowLatencyRegion;

export type LowLatencyRegion =
  | 'll_counts'
  | 'll_started'
  | 'll_arrivals'
  | 'll_ready'
  | 'll_recv'
  | 'll_output'
  | 'll_dispatch_epoch'
  | 'll_dispatch_ticket'
  | 'll_combine_epoch'
  | 'll_handle';

/**
 * An operation and what it does to the region. A dispatch reads a result that it is given as its `x`;
 * `caller` is any other work on the rank's stream. `send` and `receive` are the phases of a low-latency dispatch,
 * `publish` and `pull` those of a low-latency combine, in one launch or in two.
 */
export type ReuseAccess =
  | 'dispatch publishes counts'
  | 'dispatch reads counts'
  | 'dispatch posts arrival'
  | 'dispatch awaits arrivals'
  | 'dispatch writes rows'
  | 'dispatch reads result'
  | 'dispatch reads epoch'
  | 'dispatch writes epoch'
  | 'dispatch takes ticket'
  | 'combine publishes ready'
  | 'combine reads ready'
  | 'combine pulls rows'
  | 'combine reads epoch'
  | 'combine writes epoch'
  | 'caller reads result'
  | 'caller writes result'
  | 'caller writes input'
  | LowLatencyAccess;

export type LowLatencyAccess =
  | 'send publishes started'
  | 'send reads started'
  | 'send publishes counts'
  | 'send reads counts'
  | 'send reads result'
  | 'send writes rows'
  | 'send posts arrival'
  | 'send reads epoch'
  | 'send writes epoch'
  | 'send takes ticket'
  | 'send writes handle'
  | 'receive awaits arrivals'
  | 'receive reads counts'
  | 'receive reads handle'
  | 'publish writes ready'
  | 'publish reads epoch'
  | 'publish writes epoch'
  | 'publish writes handle'
  | 'pull reads ready'
  | 'pull reads rows'
  | 'pull reads handle';

/**
 * What makes an access safe. `dispatch.counts`: the count words of all ranks are awaited before the
 * first arrival is posted, and with credit (then by acquire) before the first row is written. A dispatch
 * along the routing of a handle has counts already: it exchanges the words of ranks only for the credit.
 * `dispatch.arrivals`: every channel of every rank has posted its arrival before a dispatch ends.
 * `combine.ready`: every block awaits the ready words of all ranks. `monotone counter`: a counter
 * is only added to, and compared with ≥. `stream order`: both accesses are on one rank's stream.
 * `host check`: the host refuses to enqueue the later access any sooner.
 *
 * Of low-latency calls: `ll.arrivals`: a receive ends when every channel of every rank has posted its
 * arrival, and a rank receives D(e) before it sends D(e+k), k being the calls in flight. `ll.started`: a send
 * acquires the started words of all ranks before it writes a row. `ll.ready`: a pull awaits the ready words
 * of all ranks, and a rank pulls C(g) before it publishes C(g+k).
 */
export type ReuseWait =
  | 'dispatch.counts'
  | 'dispatch.arrivals'
  | 'combine.ready'
  | 'monotone counter'
  | 'stream order'
  | 'host check'
  | LowLatencyWait;

export type LowLatencyWait = 'll.counts' | 'll.started' | 'll.arrivals' | 'll.ready';

export interface ReuseEdge {
  readonly region: ReuseRegion;
  readonly earlier: ReuseAccess;
  readonly later: ReuseAccess;
  /**
   * How many dispatches (combines, for ready, output and combine_epoch) the later contents are
   * behind the earlier.
   */
  readonly distance: number;
  readonly provenBy: ReuseWait;
  readonly argument: string;
}
