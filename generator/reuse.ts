/** Why no word and no buffer of the window is overwritten while a rank may still read it. */

/**
 * A region of the window; `recv` stands for all recv_* regions of one receive buffer, `ready` and `output` also for
 * ready_weights and output_weights: a ready word covers what it does and comes with what it says.
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
  | 'combine_epoch';

/**
 * An operation and what it does to the region. A dispatch reads a result that it is given as its `x`;
 * `caller` is any other work on the rank's stream.
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
  | 'caller writes input';

/**
 * What makes an access safe. `dispatch.counts`: the count words of all ranks are awaited before the
 * first arrival is posted, and with credit (then by acquire) before the first row is written. A dispatch
 * along the routing of a handle has counts already: it exchanges the words of ranks only for the credit.
 * `dispatch.arrivals`: every channel of every rank has posted its arrival before a dispatch ends.
 * `combine.ready`: every block awaits the ready words of all ranks. `monotone counter`: a counter
 * is only added to, and compared with ≥. `stream order`: both accesses are on one rank's stream.
 * `host check`: the host refuses to enqueue the later access any sooner.
 */
export type ReuseWait =
  | 'dispatch.counts'
  | 'dispatch.arrivals'
  | 'combine.ready'
  | 'monotone counter'
  | 'stream order'
  | 'host check';

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

export interface ReuseInput {
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
  readonly liveResults: number;
  readonly credit: boolean;
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
 * Every region × every pair of operations that can meet there. Throws RangeError where no wait
 * would prove it.
 */
export function reuseTable(input: ReuseInput): ReuseEdge[] {
  requireAtLeast('numRecvBuffers', recvBuffersFor(input), input.numRecvBuffers);
  requireAtLeast('numOutputBuffers', numOutputBuffers, input.numOutputBuffers);
  return [
    ...countEdges('rank_counts'),
    ...countEdges('expert_counts'),
    ...arrivalEdges,
    ...recvReadEdges,
    ...(canSendResults(input) ? recvSendEdges : []),
    ...recvReuseEdges(input),
    ...readyEdges(numOutputBuffers),
    ...outputEdges(input.numOutputBuffers),
    ...epochEdges('dispatch'),
    ticketEdge,
    ...epochEdges('combine'),
  ];
}

function requireAtLeast(field: keyof ReuseInput, expected: number, received: number): void {
  if (received < expected)
    throw new RangeError(`${field}: expected at least ${expected}, received ${received}`);
}

function countEdges(region: 'rank_counts' | 'expert_counts'): ReuseEdge[] {
  return [
    {
      region,
      earlier: 'dispatch publishes counts',
      later: 'dispatch reads counts',
      distance: 0,
      provenBy: 'dispatch.counts',
      argument: 'A word carries its epoch; a reader takes it only when the epoch is its own.',
    },
    {
      region,
      earlier: 'dispatch reads counts',
      later: 'dispatch publishes counts',
      distance: 1,
      provenBy: 'dispatch.arrivals',
      argument:
        'A source starts D(e+1) after all arrivals of D(e), and each was posted after its block read the words.',
    },
    {
      region,
      earlier: 'dispatch publishes counts',
      later: 'dispatch publishes counts',
      distance: 1,
      provenBy: 'stream order',
      argument: 'A word has one writer, and the writer ends D(e) before it starts D(e+1).',
    },
  ];
}

const arrivalEdges: readonly ReuseEdge[] = [
  {
    region: 'arrivals',
    earlier: 'dispatch posts arrival',
    later: 'dispatch awaits arrivals',
    distance: 0,
    provenBy: 'dispatch.arrivals',
    argument:
      'The wait for a source passes when all channels of the source have added their arrival of D(e).',
  },
  {
    region: 'arrivals',
    earlier: 'dispatch awaits arrivals',
    later: 'dispatch posts arrival',
    distance: 1,
    provenBy: 'monotone counter',
    argument:
      'A source may add its arrivals of D(e+1) early; the count that was awaited stays reached.',
  },
];

const ticketEdge: ReuseEdge = {
  region: 'dispatch_ticket',
  earlier: 'dispatch takes ticket',
  later: 'dispatch takes ticket',
  distance: 1,
  provenBy: 'stream order',
  argument:
    'A rank’s own counter, never reset: all channels took their ticket of D(e) before D(e+1) starts.',
};

const recvReadEdges: readonly ReuseEdge[] = [
  {
    region: 'recv',
    earlier: 'dispatch writes rows',
    later: 'caller reads result',
    distance: 0,
    provenBy: 'dispatch.arrivals',
    argument:
      'A channel posts its arrival at every rank after all its rows are written; D(e) ends after all arrivals.',
  },
  {
    region: 'recv',
    earlier: 'dispatch writes rows',
    later: 'caller writes result',
    distance: 0,
    provenBy: 'dispatch.arrivals',
    argument:
      'D(e) ends after all arrivals, so no row of it comes later than what the caller writes.',
  },
  {
    region: 'recv',
    earlier: 'dispatch writes rows',
    later: 'combine pulls rows',
    distance: 0,
    provenBy: 'combine.ready',
    argument:
      'A rank publishes its ready word by release after its own D(e) has written all its rows, and the puller awaits ' +
      'all ranks; the arrivals of its own D(e) would prove it too.',
  },
  {
    region: 'recv',
    earlier: 'caller reads result',
    later: 'caller writes result',
    distance: 0,
    provenBy: 'stream order',
    argument: 'Both are on the owner’s stream.',
  },
  {
    region: 'recv',
    earlier: 'caller writes result',
    later: 'caller reads result',
    distance: 0,
    provenBy: 'stream order',
    argument: 'Both are on the owner’s stream.',
  },
  {
    region: 'recv',
    earlier: 'caller writes result',
    later: 'caller writes result',
    distance: 0,
    provenBy: 'stream order',
    argument: 'Both are on the owner’s stream.',
  },
  {
    region: 'recv',
    earlier: 'caller writes result',
    later: 'combine pulls rows',
    distance: 0,
    provenBy: 'combine.ready',
    argument:
      'The owner publishes its ready word by release after what it enqueued before the combine.',
  },
  {
    region: 'recv',
    earlier: 'combine pulls rows',
    later: 'caller writes result',
    distance: 0,
    provenBy: 'host check',
    argument:
      'A result combined in place is not written until the owner’s next dispatch or combine, whose wait shows that ' +
      'every rank has ended the combine.',
  },
];

const recvSendEdges: readonly ReuseEdge[] = [
  {
    region: 'recv',
    earlier: 'dispatch writes rows',
    later: 'dispatch reads result',
    distance: 0,
    provenBy: 'dispatch.arrivals',
    argument:
      'D(e) ends after all arrivals, so its rows are complete when a dispatch begins that sends them on.',
  },
  {
    region: 'recv',
    earlier: 'caller writes result',
    later: 'dispatch reads result',
    distance: 0,
    provenBy: 'stream order',
    argument: 'Both are on the owner’s stream.',
  },
  {
    region: 'recv',
    earlier: 'dispatch reads result',
    later: 'caller writes result',
    distance: 0,
    provenBy: 'stream order',
    argument: 'Both are on the owner’s stream.',
  },
];

/**
 * How many dispatches later a result may still be sent on: the next one after those writes into its
 * buffer, which with credit happens while the result lives.
 */
export function lastSendOf(lifetimes: Pick<ReuseInput, 'liveResults' | 'credit'>): number {
  return recvBuffersFor(lifetimes) - 1;
}

function canSendResults(input: ReuseInput): boolean {
  return lastSendOf(input) > 0;
}

function recvReuseEdges(input: ReuseInput): ReuseEdge[] {
  const { numRecvBuffers, liveResults, credit } = input;
  const uses = ['caller reads result', 'caller writes result', 'combine pulls rows'] as const;
  const d = (calls: number): string => `D(e+${calls})`;
  const last = `Uses of the result of D(e) on any rank are enqueued before ${d(liveResults)}`;
  const next = d(numRecvBuffers);
  const before = numRecvBuffers === 1 ? 'D(e)' : d(numRecvBuffers - 1);
  const send: ReuseEdge = {
    region: 'recv',
    earlier: 'dispatch reads result',
    later: 'dispatch writes rows',
    distance: numRecvBuffers,
    provenBy: 'dispatch.arrivals',
    argument: `The last dispatch that may send the rows of D(e) is ${d(lastSendOf(input))}; a source starts ${next} after all arrivals of ${before}, and a channel posts its own after it has read what it sends.`,
  };
  return [
    {
      region: 'recv',
      earlier: 'dispatch writes rows',
      later: 'dispatch writes rows',
      distance: numRecvBuffers,
      provenBy: 'dispatch.arrivals',
      argument: `A source starts ${next} after all arrivals of ${before}, and a channel posts its own after its rows at all ranks are complete.`,
    },
    ...uses.map(
      (earlier): ReuseEdge => ({
        region: 'recv',
        earlier,
        later: 'dispatch writes rows',
        distance: numRecvBuffers,
        provenBy: credit ? 'dispatch.counts' : 'dispatch.arrivals',
        argument: credit
          ? `${last}; ${next} writes no row before it has acquired the count words that all ranks released when they started it.`
          : `${last}; a source starts ${next} after all arrivals of ${before}, so every rank has started that.`,
      }),
    ),
    ...(canSendResults(input) ? [send] : []),
  ];
}

function readyEdges(numParities: number): ReuseEdge[] {
  return [
    {
      region: 'ready',
      earlier: 'combine publishes ready',
      later: 'combine reads ready',
      distance: 0,
      provenBy: 'combine.ready',
      argument: 'A word carries its epoch; a reader takes it only when the epoch is its own.',
    },
    {
      region: 'ready',
      earlier: 'combine reads ready',
      later: 'combine publishes ready',
      distance: numParities,
      provenBy: 'combine.ready',
      argument:
        'A source starts C(f+2) after all ready words of C(f+1), so every rank has ended C(f).',
    },
    {
      region: 'ready',
      earlier: 'combine publishes ready',
      later: 'combine publishes ready',
      distance: numParities,
      provenBy: 'stream order',
      argument: 'All blocks of a source publish the same word, and C(f) ends before C(f+2) starts.',
    },
  ];
}

function outputEdges(distance: number): ReuseEdge[] {
  return [
    {
      region: 'output',
      earlier: 'caller writes input',
      later: 'combine pulls rows',
      distance: 0,
      provenBy: 'combine.ready',
      argument:
        'The owner publishes its ready word by release after what it enqueued before the combine.',
    },
    {
      region: 'output',
      earlier: 'combine pulls rows',
      later: 'caller writes input',
      distance,
      provenBy: 'combine.ready',
      argument:
        `The input of C(f+${distance}) is written after C(f+${distance - 1}) on the owner’s stream, which awaited the ` +
        `ready words of all ranks; the host refuses it as the input of any other combine.`,
    },
    {
      region: 'output',
      earlier: 'caller writes input',
      later: 'caller writes input',
      distance,
      provenBy: 'stream order',
      argument: 'Both are on the owner’s stream.',
    },
  ];
}

function epochEdges(operation: 'dispatch' | 'combine'): ReuseEdge[] {
  const region = `${operation}_epoch` as const;
  const reads = `${operation} reads epoch` as const;
  const writes = `${operation} writes epoch` as const;
  const argument =
    'Only the block that works the channel touches its word, and calls of a rank follow each other.';
  const provenBy = 'stream order';
  return [
    { region, earlier: reads, later: writes, distance: 1, provenBy, argument },
    { region, earlier: writes, later: reads, distance: 0, provenBy, argument },
    { region, earlier: writes, later: writes, distance: 1, provenBy, argument },
  ];
}
