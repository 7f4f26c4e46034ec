import type {
  LowLatencyAccess,
  LowLatencyRegion,
  ReuseAccess,
  ReuseEdge,
  ReuseWait,
} from './edge.js';
import { type LowLatencyBuffers, llLastSendOf } from './lifetimes.js';

/**
 * Words and buffers of low-latency calls. S(e) and R(e) are the phases of dispatch e, P(g) and Q(g) those in
 * which combine g publishes and pulls. The host lets R(e) come before S(e+k) and Q(g) before P(g+k).
 */
export function lowLatencyEdges(buffers: LowLatencyBuffers): readonly ReuseEdge[] {
  const { numLlCountBuffers, numLlOutputBuffers, features } = buffers;
  return [
    ...countEdges(numLlCountBuffers, buffers),
    ...(features.hasLlCredit ? startedEdges(numLlCountBuffers, buffers) : []),
    ...arrivalEdges,
    ...recvReadEdges,
    ...(lastSend(buffers) > 0 ? recvSendEdges(buffers) : []),
    ...recvReuseEdges(buffers),
    ...readyEdges(numLlOutputBuffers, buffers),
    ...outputEdges(numLlOutputBuffers, buffers),
    ...epochEdges('ll_dispatch_epoch', 'send'),
    ticketEdge,
    ...epochEdges('ll_combine_epoch', 'publish'),
    ...handleEdges,
  ];
}

type Buffers = Pick<LowLatencyBuffers, 'llInFlight'>;

const onOneStream = 'Both are on the owner’s stream.';
const ownWord = 'A word carries its epoch; a reader takes it only when the epoch is its own.';

function edge(
  region: LowLatencyRegion,
  earlier: ReuseAccess,
  later: ReuseAccess,
  proof: { readonly by: ReuseWait; readonly argument: string; readonly distance?: number },
): ReuseEdge {
  const { by: provenBy, argument, distance = 0 } = proof;
  return { region, earlier, later, distance, provenBy, argument };
}

/** A call so many after the one that is spoken of. */
function call(phase: 'S' | 'R' | 'P' | 'Q', calls: number): string {
  const epoch = phase === 'S' || phase === 'R' ? 'e' : 'g';
  return calls === 0 ? `${phase}(${epoch})` : `${phase}(${epoch}+${calls})`;
}

function lastSend({ llInFlight: inFlight, features }: LowLatencyBuffers): number {
  return llLastSendOf({ inFlight, credit: features.hasLlCredit });
}

/** Words of a send that are read by sends and receives, and written again by the send `distance` later. */
function wordReuse(
  region: LowLatencyRegion,
  accesses: { readonly writes: LowLatencyAccess; readonly reads: readonly LowLatencyAccess[] },
  distance: number,
  { llInFlight: k }: Buffers,
): readonly ReuseEdge[] {
  const { writes, reads } = accesses;
  const again = call('S', distance);
  const known = distance - k;
  return [
    ...reads.map((read) =>
      edge(region, read, writes, {
        by: 'll.arrivals',
        distance,
        argument: `A source starts ${again} after ${call('R', known)}, which has seen an arrival of every ${call('S', known)}; each is enqueued behind ${call('R', known - k)} of its rank.`,
      }),
    ),
    edge(region, writes, writes, {
      by: 'stream order',
      distance,
      argument: `A word has one writer, whose calls follow each other.`,
    }),
  ];
}

function countEdges(distance: number, buffers: Buffers): readonly ReuseEdge[] {
  const region = 'll_counts';
  const writes = 'send publishes counts';
  return [
    edge(region, writes, 'send reads counts', { by: 'll.counts', argument: ownWord }),
    edge(region, writes, 'receive reads counts', {
      by: 'll.arrivals',
      argument:
        'A block posts its arrivals after it has published its words; R(e) reads after all arrivals.',
    }),
    ...wordReuse(
      region,
      { writes, reads: ['send reads counts', 'receive reads counts'] },
      distance,
      buffers,
    ),
  ];
}

function startedEdges(distance: number, buffers: Buffers): readonly ReuseEdge[] {
  const region = 'll_started';
  const writes = 'send publishes started';
  const reads = 'send reads started';
  return [
    edge(region, writes, reads, { by: 'll.started', argument: ownWord }),
    ...wordReuse(region, { writes, reads: [reads] }, distance, buffers),
  ];
}

const arrivalEdges: readonly ReuseEdge[] = [
  edge('ll_arrivals', 'send posts arrival', 'receive awaits arrivals', {
    by: 'll.arrivals',
    argument:
      'A source has a counter of its own, and all its channels add their arrivals of S(e) before any adds one of S(e+1).',
  }),
  edge('ll_arrivals', 'receive awaits arrivals', 'send posts arrival', {
    by: 'monotone counter',
    distance: 1,
    argument:
      'A source may add its arrivals of later calls early; the count that was awaited stays reached.',
  }),
];

const ticketEdge = edge('ll_dispatch_ticket', 'send takes ticket', 'send takes ticket', {
  by: 'stream order',
  distance: 1,
  argument:
    'A rank’s own counter, never reset: all channels took their ticket of S(e) before S(e+1) starts.',
});

const recvReadEdges: readonly ReuseEdge[] = [
  ...(['caller reads result', 'caller writes result'] as const).map((later) =>
    edge('ll_recv', 'send writes rows', later, {
      by: 'll.arrivals',
      argument:
        'A channel posts its arrival at every rank after all its rows are written; R(e) ends after all arrivals.',
    }),
  ),
  edge('ll_recv', 'caller reads result', 'caller writes result', {
    by: 'stream order',
    argument: onOneStream,
  }),
  edge('ll_recv', 'caller writes result', 'caller reads result', {
    by: 'stream order',
    argument: onOneStream,
  }),
  edge('ll_recv', 'caller writes result', 'caller writes result', {
    by: 'stream order',
    argument: onOneStream,
  }),
];

/** A result that a low-latency dispatch sends on. */
function recvSendEdges({ llInFlight, numLlRecvBuffers }: LowLatencyBuffers): readonly ReuseEdge[] {
  return [
    edge('ll_recv', 'send writes rows', 'send reads result', {
      by: 'll.arrivals',
      argument:
        'R(e) ends after all arrivals, and a call that sends its rows on is enqueued behind it.',
    }),
    edge('ll_recv', 'caller writes result', 'send reads result', {
      by: 'stream order',
      argument: onOneStream,
    }),
    edge('ll_recv', 'send reads result', 'caller writes result', {
      by: 'stream order',
      // The only send that may read a result that lives for one call ends its life.
      distance: llInFlight === 1 ? numLlRecvBuffers : 0,
      argument: onOneStream,
    }),
  ];
}

function recvReuseEdges(buffers: LowLatencyBuffers): readonly ReuseEdge[] {
  const { llInFlight: k, numLlRecvBuffers: distance, features } = buffers;
  const again = call('S', distance);
  const known = distance - k;
  const uses = `Uses of the result of D(e) are enqueued before ${call('S', k)}`;
  const seen = `a source starts ${again} after ${call('R', known)}, which has seen all arrivals of ${call('S', known)}`;
  return [
    edge('ll_recv', 'send writes rows', 'send writes rows', {
      by: 'll.arrivals',
      distance,
      argument: `${seen[0]?.toUpperCase()}${seen.slice(1)}; a channel posts its own after its rows at all ranks are complete.`,
    }),
    ...(['caller reads result', 'caller writes result'] as const).map((earlier) =>
      edge('ll_recv', earlier, 'send writes rows', {
        by: features.hasLlCredit ? 'll.started' : 'll.arrivals',
        distance,
        argument: features.hasLlCredit
          ? `${uses}; ${again} writes no row before it has acquired the started words that all ranks released in it.`
          : `${uses}; ${seen}, so every rank has started that.`,
      }),
    ),
    ...(lastSend(buffers) > 0
      ? [
          edge('ll_recv', 'send reads result', 'send writes rows', {
            by: features.hasLlCredit ? 'll.started' : 'll.arrivals',
            distance,
            argument: features.hasLlCredit
              ? `The last dispatch that may send the rows of D(e) is ${call('S', lastSend(buffers))}, which has ended when its rank starts ${again}.`
              : `The last dispatch that may send the rows of D(e) is ${call('S', lastSend(buffers))}; ${seen}, and a channel posts its own after it has read what it sends.`,
          }),
        ]
      : []),
  ];
}

function readyEdges(distance: number, { llInFlight: k }: Buffers): readonly ReuseEdge[] {
  const known = distance - k;
  return [
    edge('ll_ready', 'publish writes ready', 'pull reads ready', {
      by: 'll.ready',
      argument: ownWord,
    }),
    edge('ll_ready', 'pull reads ready', 'publish writes ready', {
      by: 'll.ready',
      distance,
      argument: `A source starts ${call('P', distance)} after ${call('Q', known)}, which has seen the ready word of every ${call('P', known)}; each is enqueued behind ${call('Q', known - k)} of its rank.`,
    }),
    edge('ll_ready', 'publish writes ready', 'publish writes ready', {
      by: 'stream order',
      distance,
      argument: 'All blocks of a source publish the same word, and its calls follow each other.',
    }),
  ];
}

function outputEdges(distance: number, { llInFlight: k }: Buffers): readonly ReuseEdge[] {
  const known = distance - k;
  return [
    edge('ll_output', 'caller writes input', 'pull reads rows', {
      by: 'll.ready',
      argument: 'The owner publishes its ready word by release after what it enqueued before P(g).',
    }),
    edge('ll_output', 'pull reads rows', 'caller writes input', {
      by: 'll.ready',
      distance,
      argument: `The host gives out the input of combine g+${distance} once ${call('Q', known)} is enqueued, which has seen the ready word of every ${call('P', known)}; each is enqueued behind ${call('Q', known - k)} of its rank.`,
    }),
    edge('ll_output', 'caller writes input', 'caller writes input', {
      by: 'stream order',
      distance,
      argument: onOneStream,
    }),
  ];
}

function epochEdges(
  region: 'll_dispatch_epoch' | 'll_combine_epoch',
  phase: 'send' | 'publish',
): readonly ReuseEdge[] {
  const reads: ReuseAccess = `${phase} reads epoch`;
  const writes: ReuseAccess = `${phase} writes epoch`;
  const proof = {
    by: 'stream order',
    argument:
      'Only the block that works the channel touches its word, and calls of a rank follow each other.',
  } as const;
  return [
    edge(region, reads, writes, { ...proof, distance: 1 }),
    edge(region, writes, reads, proof),
    edge(region, writes, writes, { ...proof, distance: 1 }),
  ];
}

const handleEdges: readonly ReuseEdge[] = [
  edge('ll_handle', 'send writes handle', 'receive reads handle', {
    by: 'stream order',
    argument: 'A receive is enqueued behind its send.',
  }),
  edge('ll_handle', 'publish writes handle', 'pull reads handle', {
    by: 'stream order',
    argument: 'A pull is enqueued behind what published its input.',
  }),
  edge('ll_handle', 'pull reads handle', 'publish writes handle', {
    by: 'host check',
    distance: 1,
    argument: 'A handle has one combine under way: the next is refused until this one is received.',
  }),
  edge('ll_handle', 'publish writes handle', 'publish writes handle', {
    by: 'stream order',
    distance: 1,
    argument: onOneStream,
  }),
];
