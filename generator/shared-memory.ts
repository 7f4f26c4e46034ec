import { VECTOR_BYTES } from './dtype.js';
import { type RecordLayout, recordLayout } from './record.js';

/** Shared memory that a block of an H100 or later may opt in to. */
export const SHARED_BYTES_LIMIT = 232448;

/** How deep a ring may grow by itself: more stages than this keep no more bytes under way. */
export const MAX_AUTO_STAGES = 16;
/** Eight pieces of a 14 336-byte row cut in two; deeper rings gave no more on H200s (test/bench/LOG.md). */
export const AUTO_IN_FLIGHT_BYTES = 57344;

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
export interface CombineSharedShape extends RingShape {
  /** 0 where combine brings no top-k weights. */
  readonly weightSpanWords: number;
}

export function combineShared(shape: CombineSharedShape): RecordLayout {
  const { numStages, weightSpanWords } = shape;
  return recordLayout({
    name: 'CombineShared',
    doc: 'Shared memory of a combine block.',
    align: 128,
    fields: [
      ...ringFields(shape),
      ...(weightSpanWords === 0 ? [] : weightFields(numStages * weightSpanWords)),
      { ctype: 'uint32_t', name: 'aborted', note: 'warps that gave up' },
    ],
  });
}

function weightFields(count: number) {
  const note = '[stage][word] vectors that hold top-k weights, as bits of f32';
  return [{ ctype: 'uint32_t', name: 'weights', count, note, align: VECTOR_BYTES }] as const;
}

/** What the records of expert-major's blocks depend on. */
export interface ExpertMajorSharedShape {
  readonly numLocalExperts: number;
  readonly numWarps: number;
}

export function expertMajorShared(shape: ExpertMajorSharedShape): RecordLayout {
  const { numLocalExperts, numWarps } = shape;
  return recordLayout({
    name: 'ExpertMajorShared',
    doc: 'Shared memory of a block that groups rows by expert.',
    fields: [
      {
        ctype: 'uint32_t',
        name: 'group',
        count: numLocalExperts + 1,
        note: '[expert] first row of the group; last, all rows',
      },
      {
        ctype: 'uint32_t',
        name: 'padding',
        count: numLocalExperts,
        note: "[expert] first row of the group's padding",
      },
      {
        ctype: 'uint32_t',
        name: 'next',
        count: numWarps * numLocalExperts,
        note: "[warp][expert] row of the warp's next selection",
      },
    ],
  });
}

export function expertCountsShared({
  numLocalExperts,
}: Pick<ExpertMajorSharedShape, 'numLocalExperts'>): RecordLayout {
  return recordLayout({
    name: 'ExpertCountsShared',
    doc: 'Shared memory of a block that counts selections by expert.',
    fields: [
      { ctype: 'uint32_t', name: 'counts', count: numLocalExperts, note: '[expert] selections' },
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

interface RingShape {
  readonly pieceBytes: number;
  readonly numStages: number;
}

export function ringFields({ pieceBytes, numStages }: RingShape) {
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
  /** As the spec asks. */
  readonly memory: {
    readonly stages: number | 'auto';
    readonly inFlightBytes: number | 'auto';
  };
  /** Fewest stages that the kernel works with. */
  readonly atLeast: number;
  readonly pieceBytes: number;
  /** Shared memory of a block whose ring has so many stages. */
  sharedBytes(numStages: number): number;
}

/** A number of stages, and what it stands at. */
export interface Stages {
  readonly numStages: number;
  readonly boundBy: 'asked' | 'inFlightBytes' | 'cap' | 'sharedMemory' | 'atLeast';
}

/** Number of stages: as asked, else enough to keep the bytes under way, as far as shared memory reaches. */
export function stagesFor(input: StagesInput): Stages {
  const { memory, atLeast, pieceBytes } = input;
  if (memory.stages !== 'auto') return { numStages: memory.stages, boundBy: 'asked' };
  const { inFlightBytes } = memory;
  const bytes = inFlightBytes === 'auto' ? AUTO_IN_FLIGHT_BYTES : inFlightBytes;
  const wanted = Math.ceil(bytes / pieceBytes);
  const isCapped = inFlightBytes === 'auto' && wanted > MAX_AUTO_STAGES;
  const numStages = isCapped ? MAX_AUTO_STAGES : wanted;
  const fits = input.sharedBytes(numStages) <= SHARED_BYTES_LIMIT;
  const most = fits ? numStages : stagesThatFit(input);
  if (most < atLeast) return { numStages: atLeast, boundBy: 'atLeast' };
  if (!fits) return { numStages: most, boundBy: 'sharedMemory' };
  return { numStages, boundBy: isCapped ? 'cap' : 'inFlightBytes' };
}

/** Most stages that shared memory holds. */
export function stagesThatFit({ pieceBytes, sharedBytes }: StagesInput): number {
  let fits = 0;
  let tooMany = Math.floor(SHARED_BYTES_LIMIT / pieceBytes) + 1;
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (sharedBytes(middle) <= SHARED_BYTES_LIMIT) fits = middle;
    else tooMany = middle;
  }
  return fits;
}
