import type { LowLatencyAccess, LowLatencyRegion, ReuseEdge } from './edge.js';
import type { LowLatencyBuffers } from './lifetimes.js';
import { call, edge, ownWord } from './low-latency-edge.js';

type Buffers = Pick<LowLatencyBuffers, 'llInFlight'>;

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

export function countEdges(distance: number, buffers: Buffers): readonly ReuseEdge[] {
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

export function startedEdges(distance: number, buffers: Buffers): readonly ReuseEdge[] {
  const region = 'll_started';
  const writes = 'send publishes started';
  const reads = 'send reads started';
  return [
    edge(region, writes, reads, { by: 'll.started', argument: ownWord }),
    ...wordReuse(region, { writes, reads: [reads] }, distance, buffers),
  ];
}

export const arrivalEdges: readonly ReuseEdge[] = [
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

export function readyEdges(distance: number, { llInFlight: k }: Buffers): readonly ReuseEdge[] {
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
