import type { ReuseEdge } from './edge.js';

export const arrivalEdges: readonly ReuseEdge[] = [
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

export const ticketEdge: ReuseEdge = {
  region: 'dispatch_ticket',
  earlier: 'dispatch takes ticket',
  later: 'dispatch takes ticket',
  distance: 1,
  provenBy: 'stream order',
  argument:
    'A rank’s own counter, never reset: all channels took their ticket of D(e) before D(e+1) starts.',
};
