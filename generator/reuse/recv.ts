import type { ReuseEdge } from './edge.js';
import { lastSendOf, type ReuseInput } from './lifetimes.js';

/** Received rows. */
export function recvEdges(input: ReuseInput): readonly ReuseEdge[] {
  return [
    ...recvReadEdges,
    ...(canSendResults(input) ? recvSendEdges : []),
    ...recvReuseEdges(input),
  ];
}

/** Rows that are there, and callers that read and change them. */
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

/** A result that a dispatch sends on. */
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

function canSendResults(input: ReuseInput): boolean {
  return lastSendOf(input) > 0;
}

/** A buffer that is written again. */
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
