import type { ReuseEdge } from './edge.js';

export function readyEdges(numParities: number): ReuseEdge[] {
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
