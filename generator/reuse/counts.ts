import type { ReuseEdge } from './edge.js';

/** The words in which ranks tell each other how many rows come. */
export function countEdges(region: 'rank_counts' | 'expert_counts'): ReuseEdge[] {
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
