/** Statements that races are expected between, as far as they tell them from others. */
export const LOADS_ROW = 'bulk_load(stage(smem, ring.stage_idx)';
export const STORES_ROW = 'bulk_store(rows + (slot';
export const PULLS_ROW = 'bulk_load(stage(smem, at.stage_idx)';
export const SUMS_ROW = 'ld_vec16(piece + vector_idx';
export const STORES_PREFIX = 'st(prefix + ';
export const READS_PREFIX = 'ld(prefix + i)';
export const GIVES_UP = 'red_add_shared(EPGEN_FIELD(smem, aborted), 1)';
/** Other work on the rank's stream: it reads results and writes expert outputs. */
export const STREAM = 'stream';
/** Host threads that read a record once its tag is there. */
export const HOST = 'host';
export const STORES_COLUMN = 'st(columns + ';
/** Of low-latency calls. */
export const LL_LOADS_ROW = 'bulk_load(stage(smem, stage_idx), rows';
export const LL_STORES_ROW = 'bulk_store(rows + uint64_t{row} * kLlRowBytes';
export const LL_STORES_SCALE = 'st(scales + ((first_column + word)';
export const LL_CASTS_ROW = 'st(as<uint64_t>(stage(smem, stage_idx)';
