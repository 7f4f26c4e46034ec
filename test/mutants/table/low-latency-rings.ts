import { edit, type Mutant } from '../mutant.js';
import { llCombine, llPull, llReady, llReduce } from './files.js';
import { PULLS_ROW, STREAM, SUMS_ROW } from './places.js';

const AWAITS_FREE =
  'ok = wait_mbarrier(call, site, EPGEN_FIELD(smem, empty) + at.stage_idx, at.empty_parity());';
const AWAITS_FULL = 'if (!wait_mbarrier_warp(call, site, full, ring.full_parity())) return false;';

/** The ring of low-latency combine, and which rows pass through it in which order. */
export const lowLatencyRings: readonly Mutant[] = [
  {
    id: 'll-free-stage-not-awaited',
    rule: 5,
    plants: 'A row is pulled into a stage that is still summed.',
    edits: [edit(llPull, AWAITS_FREE, 'PLANTED(); (void)site;')],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-empty-parity-flipped',
    rule: 6,
    plants: 'The wait for a free stage asks for the other parity.',
    edits: [
      edit(llPull, AWAITS_FREE, `PLANTED(); ${AWAITS_FREE.replace('empty_parity', 'full_parity')}`),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-full-stage-not-awaited',
    rule: 6,
    plants: 'A stage is summed before its piece has come.',
    edits: [edit(llReduce, AWAITS_FULL, 'PLANTED(); (void)full; (void)site;')],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-full-parity-flipped',
    rule: 6,
    plants: 'The wait for a full stage asks for the other parity.',
    edits: [
      edit(
        llReduce,
        AWAITS_FULL,
        `PLANTED(); ${AWAITS_FULL.replace('full_parity', 'empty_parity')}`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-free-after-one-warp',
    rule: 5,
    plants: 'A stage is free when the first of several warps has summed it.',
    edits: [
      edit(
        llCombine,
        'mbarrier_init(EPGEN_FIELD(smem, empty) + i, kNumReduceWarps);',
        'PLANTED(); mbarrier_init(EPGEN_FIELD(smem, empty) + i, 1);',
      ),
    ],
    spec: 'llPieces',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-stage-of-the-selection',
    rule: 6,
    plants: 'Selection k takes the stage k steps on, also where an earlier one chose nobody.',
    edits: [
      edit(
        llPull,
        'const uint32_t my_step = popc(chosen & lanemask_lt());',
        'PLANTED(); const uint32_t my_step = is_chosen ? lane_idx() : 0;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-steps-of-all-selections',
    rule: 6,
    plants: 'The ring goes on by one stage for each selection, also for those that chose nobody.',
    edits: [
      edit(llPull, 'ring = ring.ahead(popc(chosen));', 'PLANTED(); ring = ring.ahead(kNumTopk);'),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-last-piece-whole',
    rule: 18,
    plants: 'The last piece of a row is pulled as if it were as long as the others.',
    edits: [
      edit(
        llPull,
        'const uint32_t bytes = piece_bytes(piece_idx);',
        'PLANTED(); const uint32_t bytes = kPieceBytes;',
      ),
    ],
    spec: 'llPieces',
    expected: { detector: 'fault', at: PULLS_ROW },
  },
  {
    id: 'll-vectors-of-a-whole-piece',
    rule: 18,
    plants: 'The last piece of a row is summed and written as if it were as long as the others.',
    edits: [
      edit(
        llReduce,
        'const uint32_t num_vectors = piece_bytes(piece_idx) / kVectorBytes;',
        'PLANTED(); const uint32_t num_vectors = piece_bytes(0) / kVectorBytes;',
      ),
    ],
    spec: 'llPieces',
    expected: { detector: 'fault', at: 'st_vec16(piece + vector_idx' },
  },
  {
    id: 'll-weight-of-the-step',
    rule: 44,
    plants: 'A selection is weighted by its place among those that chose someone.',
    edits: [
      edit(
        llReduce,
        'f32_from_bits(shfl(weight, nth_bit(left, 0)));',
        'f32_from_bits((PLANTED(), shfl(weight, popc(chosen) - popc(left))));',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-weight-of-the-next-token',
    rule: 44,
    plants: 'A token is weighted with what was loaded ahead for the next one.',
    edits: [
      edit(
        llReduce,
        'f32_from_bits(shfl(weight, nth_bit(left, 0)));',
        'f32_from_bits((PLANTED(), (void)weight, shfl(next_weight, nth_bit(left, 0))));',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-summed-in-falling-order',
    rule: 30,
    plants: 'The rows of a token come into the ring in falling order of their selections.',
    edits: [
      edit(
        llPull,
        'const uint32_t my_step = popc(chosen & lanemask_lt());',
        'PLANTED(); const uint32_t my_step = is_chosen ? popc(chosen) - 1 - popc(chosen & lanemask_lt()) : 0;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-no-row-of-zeros',
    rule: 17,
    plants: 'A token whose selections chose nobody gets no row.',
    edits: [
      edit(
        llReduce,
        '            accumulator.write(',
        '            PLANTED(); if (chosen != 0) accumulator.write(',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-offset-of-the-lane',
    rule: 18,
    plants:
      'A lane pulls at the offset of the rank with its own number, not of the owner of its row.',
    edits: [
      edit(
        llPull,
        'const uint64_t offset = uint64_t{shfl(input.value, owner)} * kReadyUnit;',
        'PLANTED(); const uint64_t offset = uint64_t{input.value} * kReadyUnit;',
      ),
    ],
    spec: 'llThree',
    expected: { detector: 'race', between: [PULLS_ROW, 'EPGEN_FIELD(control,'] },
  },
  {
    id: 'll-row-among-all-ranks',
    rule: 18,
    plants: 'A row is looked for behind those of lower ranks.',
    edits: [
      edit(
        llPull,
        'uint64_t{output_row % kRowsPerRank} * kLlOutputRowBytes;',
        'uint64_t{(PLANTED(), output_row)} * kLlOutputRowBytes;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'fault', at: PULLS_ROW },
  },
  {
    id: 'll-no-sync-warp-before-pull',
    rule: 7,
    plants:
      'Lanes pull from ranks whose ready words other lanes have acquired, behind a vote alone.',
    edits: [
      edit(
        llPull,
        '    sync_warp();\n    fence_proxy_async();',
        '    PLANTED();\n    fence_proxy_async();',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-ready-awaited-where-needed',
    rule: 14,
    plants: 'A rank without tokens ends its combine without waiting for the other ranks.',
    edits: [
      edit(
        llReady,
        '    if (lane_idx() >= kNumRanks) return {true, 0};',
        '    if (lane_idx() >= kNumRanks) return {true, 0};\n    if (args.num_tokens == 0) { PLANTED(); return {true, 0}; }',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
];
