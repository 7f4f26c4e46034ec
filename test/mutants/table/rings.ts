import { edit, type Mutant } from '../mutant.js';
import { combine, load, pull, reduce, ring, storePieces } from './files.js';
import { LOADS_ROW, PULLS_ROW, STORES_ROW, SUMS_ROW } from './places.js';

const PARITY_FLAG = `EPGEN_DEVICE shared<uint32_t> parity_flag(Smem smem) {
    return make_pointer<Space::shared>(&smem.raw->aborted + 1, 1, "parity flag");  // in the record's padding
}

`;

/** Rings of stages: who may write a stage, and when. */
export const rings: readonly Mutant[] = [
  {
    id: 'freed-before-summed',
    rule: 5,
    plants: 'Combine gives a stage back before it has summed it.',
    edits: [
      edit(
        reduce,
        '                    accumulator.add(stage(',
        `                    PLANTED(); if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);
                    accumulator.add(stage(`,
      ),
      edit(
        reduce,
        `                    if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);
                    ring.advance();`,
        '                    ring.advance();',
      ),
    ],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'freed-before-stored',
    rule: 5,
    plants: 'Dispatch gives a stage back before it waits for the copies that read it.',
    edits: [
      edit(
        storePieces,
        `        bulk_wait_group_read<kStoreLag>();
        sync_warp();
        if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + released.stage_idx);`,
        `        PLANTED(); if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + released.stage_idx);
        bulk_wait_group_read<kStoreLag>();
        sync_warp();`,
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'free-stage-not-awaited-dispatch',
    rule: 5,
    plants: 'The loader of dispatch writes a stage without waiting for it to be free.',
    edits: [
      edit(
        load,
        'if (!wait_mbarrier(call, site, empty, ring.empty_parity())) return false;',
        'PLANTED();',
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'free-stage-not-awaited-combine',
    rule: 5,
    plants: 'The puller of combine writes a stage without waiting for it to be free.',
    edits: [
      edit(
        pull,
        'ok = wait_mbarrier(call, site, EPGEN_FIELD(smem, empty) + at.stage_idx, at.empty_parity());',
        'PLANTED();',
      ),
    ],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'full-stage-not-awaited-dispatch',
    rule: 6,
    plants: 'Rows are stored from a stage without waiting for it to be full.',
    edits: [
      edit(
        storePieces,
        'ok = wait_mbarrier_warp(call, site, full, ring.full_parity());',
        'PLANTED();',
      ),
    ],
    expected: { detector: 'race', between: [LOADS_ROW, STORES_ROW] },
  },
  {
    id: 'full-stage-not-awaited-combine',
    rule: 6,
    plants: 'Rows are summed from a stage without waiting for it to be full.',
    edits: [
      edit(
        reduce,
        'if (!wait_mbarrier_warp(call, site, full, ring.full_parity())) return false;',
        'PLANTED();',
      ),
    ],
    expected: { detector: 'race', between: [PULLS_ROW, SUMS_ROW] },
  },
  {
    id: 'full-stage-awaited-by-lane-0',
    rule: 7,
    plants: 'Lane 0 waits for a full stage and a vote tells the others, which orders nothing.',
    edits: [
      edit(
        reduce,
        'if (!wait_mbarrier_warp(call, site, full, ring.full_parity())) return false;',
        'PLANTED(); if (!all(lane_idx() != 0 || wait_mbarrier(call, site, full, ring.full_parity()))) return false;',
      ),
    ],
    expected: { detector: 'race', between: [PULLS_ROW, SUMS_ROW] },
  },
  {
    id: 'wrong-stage-freed-combine',
    rule: 6,
    plants: 'Combine frees the stage after the one that it has summed.',
    edits: [
      edit(
        reduce,
        `                    if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);
                    ring.advance();`,
        `                    ring.advance();
                    PLANTED(); if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);`,
      ),
    ],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'wrong-stage-freed-dispatch',
    rule: 6,
    plants: 'Dispatch frees the stage after the one whose copies have read.',
    edits: [
      edit(
        storePieces,
        `        if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + released.stage_idx);
        released.advance();`,
        `        released.advance();
        PLANTED(); if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + released.stage_idx);`,
      ),
    ],
    // The first stage comes free only with a piece that cannot be loaded before that.
    expected: { detector: 'timeout' },
  },
  {
    id: 'wrong-stage-loaded',
    rule: 6,
    plants: 'The loader brings a piece into the stage after the one that it counts on.',
    edits: [
      edit(
        load,
        'bulk_load(stage(smem, ring.stage_idx), rows',
        'PLANTED(); bulk_load(stage(smem, (ring.stage_idx + 1) % kNumStages), rows',
      ),
    ],
    expected: {
      detector: 'race',
      between: [STORES_ROW, 'bulk_load(stage(smem, (ring.stage_idx + 1) % kNumStages)'],
    },
  },
  {
    id: 'full-parity-flipped',
    rule: 6,
    plants: 'A full stage is awaited by the parity of the phase before.',
    edits: [
      edit(
        ring,
        'uint32_t full_parity() const { return round & 1; }',
        'uint32_t full_parity() const { PLANTED(); return (round & 1) ^ 1; }',
      ),
    ],
    expected: { detector: 'race', between: [LOADS_ROW, STORES_ROW] },
  },
  {
    id: 'empty-parity-flipped',
    rule: 6,
    plants: 'A free stage is awaited by the parity of the phase before.',
    edits: [
      edit(
        ring,
        'uint32_t empty_parity() const { return (round & 1) ^ 1; }',
        'uint32_t empty_parity() const { PLANTED(); return round & 1; }',
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'parity-from-shared-flag',
    rule: 6,
    plants: 'The summing warps take the parity from a flag that the puller toggles.',
    edits: [
      edit(
        combine,
        '/// Row of token `token_idx` at rank lane_idx(), or -1.',
        `${PARITY_FLAG}/// Row of token \`token_idx\` at rank lane_idx(), or -1.`,
      ),
      edit(
        combine,
        '    fence_mbarrier_init();',
        '    fence_mbarrier_init();\n    st(parity_flag(smem), 0);',
      ),
      edit(
        pull,
        'ring = ring.ahead(popc(holders));',
        'ring = ring.ahead(popc(holders)); PLANTED(); if (lane_idx() == 0) st(parity_flag(smem), ring.round & 1);',
      ),
      edit(
        reduce,
        'if (!wait_mbarrier_warp(call, site, full, ring.full_parity())) return false;',
        'PLANTED(); const uint32_t parity = ld(parity_flag(smem));\nif (!wait_mbarrier_warp(call, site, full, parity)) return false;',
      ),
    ],
    expected: {
      detector: 'race',
      between: ['st(parity_flag(smem), ring.round & 1)', 'ld(parity_flag(smem))'],
    },
  },
  {
    id: 'free-after-one-warp',
    rule: 5,
    plants: 'A stage is free when one of the two warps that sum it has arrived.',
    edits: [
      edit(
        combine,
        'mbarrier_init(EPGEN_FIELD(smem, empty) + i, kNumReduceWarps);',
        'PLANTED(); mbarrier_init(EPGEN_FIELD(smem, empty) + i, 1);',
      ),
    ],
    spec: 'wide',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'last-piece-expected-whole',
    rule: 18,
    plants: 'A stage expects a whole piece where the last one of a row is shorter.',
    edits: [
      edit(
        load,
        'mbarrier_arrive_expect_tx(full, bytes);',
        'PLANTED(); mbarrier_arrive_expect_tx(full, kPieceBytes);',
      ),
    ],
    spec: 'pieces',
    expected: { detector: 'timeout' },
  },
  {
    id: 'bytes-expected-after-load',
    rule: 6,
    plants: 'The bytes of a load are expected after it was issued.',
    edits: [
      edit(
        load,
        `        mbarrier_arrive_expect_tx(full, bytes);
        bulk_load(`,
        '        bulk_load(',
      ),
      edit(
        load,
        '                  bytes, full);',
        '                  bytes, full); PLANTED(); mbarrier_arrive_expect_tx(full, bytes);',
      ),
    ],
    expected: {
      equivalent:
        'The count of bytes may go below zero, and the phase cannot end before its one arrival, which comes with the ' +
        'expectation.',
    },
  },
];
