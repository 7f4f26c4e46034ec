import type { ReuseEdge } from './edge.js';

export function epochEdges(operation: 'dispatch' | 'combine'): ReuseEdge[] {
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
