import { type RecordLayout, recordLayout } from './record.js';

/** Shared memory that a block of an H100 or later may opt in to. */
export const SHARED_BYTES_LIMIT = 232448;

/** How deep a ring may grow by itself: more stages than this keep no more bytes under way. */
const MAX_AUTO_STAGES = 16;
/** Eight pieces of a 14 336-byte row cut in two; deeper rings gave no more on H200s (test/bench/LOG.md). */
const AUTO_IN_FLIGHT_BYTES = 57344;

/** What the record of a dispatch block depends on. */
export interface DispatchSharedShape {
  readonly numRanks: number;
  readonly numChannels: number;
  readonly numExperts: number;
  readonly pieceBytes: number;
  readonly numStages: number;
}

export function dispatchShared(shape: DispatchSharedShape): RecordLayout {
  const { numRanks, numChannels, numExperts } = shape;
  return recordLayout({
    name: 'DispatchShared',
    doc: 'Shared memory of a dispatch block.',
    align: 128,
    fields: [
      ...ringFields(shape),
      {
        ctype: 'Mbarrier',
        name: 'counted',
        count: 1,
        note: 'the selections of all experts are counted',
      },
      {
        ctype: 'uint32_t',
        name: 'channel_start',
        count: (numChannels + 1) * numRanks,
        note: '[channel + 1][destination] rows of earlier channels; last, all rows',
      },
      { ctype: 'uint32_t', name: 'expert_counts', count: numExperts, note: '[expert] selections' },
      {
        ctype: 'uint32_t',
        name: 'base',
        count: numRanks,
        note: "[destination] first of this rank's rows there",
      },
      { ctype: 'uint32_t', name: 'bad_choice', note: 'first selection that names no expert' },
      { ctype: 'uint32_t', name: 'aborted', note: 'warps that gave up' },
    ],
  });
}

/** What the record of a combine block depends on. */
export interface CombineSharedShape {
  readonly pieceBytes: number;
  readonly numStages: number;
}

export function combineShared(shape: CombineSharedShape): RecordLayout {
  return recordLayout({
    name: 'CombineShared',
    doc: 'Shared memory of a combine block.',
    align: 128,
    fields: [
      ...ringFields(shape),
      { ctype: 'uint32_t', name: 'aborted', note: 'warps that gave up' },
    ],
  });
}

export function dispatchLayoutShared(shape: {
  readonly numRanks: number;
  readonly numExperts: number;
}): RecordLayout {
  return recordLayout({
    name: 'DispatchLayoutShared',
    doc: "Shared memory of the layout query's block.",
    fields: [
      {
        ctype: 'uint32_t',
        name: 'rank_counts',
        count: shape.numRanks,
        note: '[destination] tokens',
      },
      {
        ctype: 'uint32_t',
        name: 'expert_counts',
        count: shape.numExperts,
        note: '[expert] selections',
      },
      { ctype: 'uint32_t', name: 'bad_choice', note: 'first selection that names no expert' },
    ],
  });
}

function ringFields({ pieceBytes, numStages }: CombineSharedShape) {
  return [
    {
      ctype: 'uint8_t',
      name: 'stages',
      count: numStages * pieceBytes,
      note: '[stage][piece]',
      align: 128,
    },
    { ctype: 'Mbarrier', name: 'full', count: numStages, note: '[stage] the piece has come' },
    { ctype: 'Mbarrier', name: 'empty', count: numStages, note: '[stage] the piece has been used' },
  ] as const;
}

export interface StagesInput {
  readonly asked: number | 'auto';
  readonly inFlightBytes: number | 'auto';
  /** Fewest stages that the kernel works with. */
  readonly atLeast: number;
  readonly pieceBytes: number;
  /** Shared memory of a block whose ring has so many stages. */
  sharedBytes(numStages: number): number;
}

/** Number of stages: as asked, else enough to keep the bytes under way, as far as shared memory reaches. */
export function numStagesFor({
  asked,
  inFlightBytes,
  atLeast,
  pieceBytes,
  sharedBytes,
}: StagesInput): number {
  if (asked !== 'auto') return asked;
  const bytes = inFlightBytes === 'auto' ? AUTO_IN_FLIGHT_BYTES : inFlightBytes;
  const cap =
    inFlightBytes === 'auto' ? MAX_AUTO_STAGES : Math.floor(SHARED_BYTES_LIMIT / (pieceBytes + 16));
  let numStages = Math.max(atLeast, Math.min(cap, Math.ceil(bytes / pieceBytes)));
  while (numStages > atLeast && sharedBytes(numStages) > SHARED_BYTES_LIMIT) numStages -= 1;
  return numStages;
}
