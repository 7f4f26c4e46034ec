import type { ReuseAccess, ReuseEdge } from './edge.js';
import type { LowLatencyBuffers } from './lifetimes.js';
import { edge, onOneStream } from './low-latency-edge.js';
import { outputEdges, recvEdges } from './low-latency-rows.js';
import { arrivalEdges, countEdges, readyEdges, startedEdges } from './low-latency-words.js';

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
    ...recvEdges(buffers),
    ...readyEdges(numLlOutputBuffers, buffers),
    ...outputEdges(numLlOutputBuffers, buffers),
    ...epochEdges('ll_dispatch_epoch', 'send'),
    ticketEdge,
    ...epochEdges('ll_combine_epoch', 'publish'),
    ...handleEdges,
  ];
}

const ticketEdge = edge('ll_dispatch_ticket', 'send takes ticket', 'send takes ticket', {
  by: 'stream order',
  distance: 1,
  argument:
    'A rank’s own counter, never reset: all channels took their ticket of S(e) before S(e+1) starts.',
});

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
