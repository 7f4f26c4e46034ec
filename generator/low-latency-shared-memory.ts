import { type RecordLayout, recordLayout } from './record.js';
import { ringFields } from './shared-memory.js';

/** What the record of a low-latency dispatch block depends on. */
export interface LlDispatchSharedShape {
  readonly numRanks: number;
  readonly numExperts: number;
  readonly numTopk: number;
  readonly llRowBytes?: number;
  readonly numLlScaleWords?: number;
  readonly numStages: number;
}

export function llDispatchShared(shape: LlDispatchSharedShape): RecordLayout {
  const { numRanks, numExperts, numTopk, llRowBytes = 0, numLlScaleWords = 0, numStages } = shape;
  const word = (name: string, count: number, note: string) =>
    ({ ctype: 'uint32_t', name, count, note }) as const;
  return recordLayout({
    name: 'LlDispatchShared',
    doc: 'Shared memory of a low-latency dispatch block.',
    align: 128,
    fields: [
      {
        ctype: 'uint8_t',
        name: 'stages',
        count: numStages * llRowBytes,
        note: '[stage][row] as it travels',
        align: 128,
      },
      ...(numLlScaleWords > 0
        ? [word('scales', numStages * numLlScaleWords, '[stage][word] scales of the row')]
        : [
            {
              ctype: 'Mbarrier',
              name: 'full',
              count: numStages,
              note: '[stage] the row has come',
            } as const,
          ]),
      word('counts', 2 * numExperts, '[part of the call][expert] tokens that chose it'),
      word('received', numExperts, '[source][local expert] tokens that come'),
      word(
        'ahead',
        numStages * numRanks * numTopk,
        '[stage][source][k] rows that the source has before this one at the expert',
      ),
      word('aborted', numStages, '[vote_idx] nonzero: this call or an earlier one was given up'),
      { ctype: 'uint32_t', name: 'bad_choice', note: 'first selection that names no expert' },
      {
        ctype: 'uint32_t',
        name: 'is_last',
        note: 'whether no other block of the rank waits any more',
      },
    ],
  });
}

export function llCombineShared(shape: {
  readonly pieceBytes: number;
  readonly numStages: number;
}): RecordLayout {
  return recordLayout({
    name: 'LlCombineShared',
    doc: 'Shared memory of a low-latency combine block.',
    align: 128,
    fields: [
      ...ringFields(shape),
      {
        ctype: 'uint32_t',
        name: 'aborted',
        note: 'nonzero: this call or an earlier one was given up',
      },
    ],
  });
}

export function llStageShared(): RecordLayout {
  return recordLayout({
    name: 'LlStageShared',
    doc: 'Shared memory of a block that brings expert outputs into the window.',
    fields: [{ ctype: 'uint32_t', name: 'aborted', note: 'whether the group has given up' }],
  });
}
