/** Why no word and no buffer of the window is overwritten while a rank may still read it. */

import { arrivalEdges, ticketEdge } from './reuse/arrivals.js';
import { countEdges } from './reuse/counts.js';
import type { ReuseEdge } from './reuse/edge.js';
import { epochEdges } from './reuse/epochs.js';
import {
  type LowLatencyBuffers,
  llBuffersFor,
  llRecvBuffersFor,
  numOutputBuffers,
  type ReuseInput,
  recvBuffersFor,
} from './reuse/lifetimes.js';
import { lowLatencyEdges } from './reuse/low-latency.js';
import { outputEdges } from './reuse/output.js';
import { readyEdges } from './reuse/ready.js';
import { recvEdges } from './reuse/recv.js';

export type { ReuseAccess, ReuseEdge, ReuseRegion, ReuseWait } from './reuse/edge.js';
export {
  type LowLatencyBuffers,
  lastSendOf,
  llBuffersFor,
  llLastSendOf,
  llRecvBuffersFor,
  numOutputBuffers,
  type ReuseInput,
  recvBuffersFor,
} from './reuse/lifetimes.js';

/**
 * Every region × every pair of operations that can meet there, of the calls that the spec has. Throws
 * RangeError where no wait would prove it.
 */
export function reuseTable(input: Partial<ReuseInput>): ReuseEdge[] {
  return [
    ...(hasHighThroughput(input) ? highThroughputTable(input) : []),
    ...(hasLowLatency(input) ? lowLatencyTable(input) : []),
  ];
}

function hasHighThroughput(input: Partial<ReuseInput>): input is ReuseInput {
  return input.numRecvBuffers !== undefined;
}

function highThroughputTable(input: ReuseInput): readonly ReuseEdge[] {
  requireAtLeast('numRecvBuffers', recvBuffersFor(input), input.numRecvBuffers);
  requireAtLeast('numOutputBuffers', numOutputBuffers, input.numOutputBuffers);
  return [
    ...countEdges('rank_counts'),
    ...countEdges('expert_counts'),
    ...arrivalEdges,
    ...recvEdges(input),
    ...readyEdges(numOutputBuffers),
    ...outputEdges(input.numOutputBuffers),
    ...epochEdges('dispatch'),
    ticketEdge,
    ...epochEdges('combine'),
  ];
}

function hasLowLatency(
  input: Partial<ReuseInput>,
): input is Partial<ReuseInput> & LowLatencyBuffers {
  return (input.llInFlight ?? 0) > 0;
}

function lowLatencyTable(buffers: LowLatencyBuffers): readonly ReuseEdge[] {
  const { llInFlight: inFlight, features } = buffers;
  const numRecvBuffers = llRecvBuffersFor({ inFlight, credit: features.hasLlCredit });
  requireAtLeast('numLlRecvBuffers', numRecvBuffers, buffers.numLlRecvBuffers);
  requireAtLeast('numLlCountBuffers', llBuffersFor(inFlight), buffers.numLlCountBuffers);
  requireAtLeast('numLlOutputBuffers', llBuffersFor(inFlight), buffers.numLlOutputBuffers);
  return lowLatencyEdges(buffers);
}

function requireAtLeast(
  field: keyof ReuseInput | keyof LowLatencyBuffers,
  expected: number,
  received: number,
): void {
  if (received < expected)
    throw new RangeError(`${field}: expected at least ${expected}, received ${received}`);
}
