import type { ReuseEdge } from './edge.js';
import { type LowLatencyBuffers, llLastSendOf } from './lifetimes.js';
import { call, edge, onOneStream } from './low-latency-edge.js';

/** Rows that low-latency dispatches bring. */
export function recvEdges(buffers: LowLatencyBuffers): readonly ReuseEdge[] {
  return [
    ...recvReadEdges,
    ...(lastSend(buffers) > 0 ? recvSendEdges(buffers) : []),
    ...recvReuseEdges(buffers),
  ];
}

function lastSend({ llInFlight: inFlight, features }: LowLatencyBuffers): number {
  return llLastSendOf({ inFlight, credit: features.hasLlCredit });
}

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

/** Rows that low-latency combines pull. */
export function outputEdges(
  distance: number,
  { llInFlight: k }: Pick<LowLatencyBuffers, 'llInFlight'>,
): readonly ReuseEdge[] {
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
