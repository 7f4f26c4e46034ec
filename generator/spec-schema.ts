import * as z from 'zod';

/** A field whose message, when the value is of another kind, reads `Expected <path> to be <expected>`. */
function positive(description: string) {
  return z
    .int({ error: 'a positive integer' })
    .min(1, { error: 'a positive integer' })
    .describe(description);
}

function count(description: string) {
  return z
    .int({ error: '0 or a positive integer' })
    .min(0, { error: '0 or a positive integer' })
    .describe(description);
}

function oneOf<const Values extends readonly [string, ...string[]]>(
  values: Values,
  description: string,
) {
  const names = values.map((value) => `'${value}'`);
  const expected = names.length === 1 ? `${names[0]}` : `one of ${names.join(', ')}`;
  return z.enum(values, { error: expected }).describe(description);
}

function flag(description: string) {
  return z.boolean({ error: 'true or false' }).describe(description);
}

function auto(description: string) {
  const expected = "'auto' or a positive integer";
  return z
    .union([z.literal('auto'), z.int().min(1)], { error: expected })
    .default('auto')
    .describe(description);
}

function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: 'an object' });
}

const htFields = section({
  maxTokensPerRank: positive('most tokens that a rank sends in one call').default(4096),
  liveResults: positive('dispatch results that may be alive at a time').default(2),
  credit: flag('saves one receive buffer for a wait on every rank before rows are sent').default(
    false,
  ),
  withoutTopk: flag('dispatch from a layout alone, without top-k indices and weights').default(
    false,
  ),
  cached: flag('dispatch again along the routing of a handle').default(false),
  worstTokens: flag('dispatch that waits for no counts, its rows padded to numWorstTokens').default(
    false,
  ),
  combineWeights: flag('combine that brings top-k weights back too').default(false),
  biases: count('tensors that combine can add to its sums, at most 2').default(0),
  expertMajor: flag('received rows grouped by local expert, and combine from there').default(false),
  readyCounters: flag('a header for kernels that start on the rows of one source').default(false),
});

const llFields = section({
  maxTokensPerRank: positive('most tokens that a rank sends in one low-latency call').default(128),
  inFlight: z
    .union([z.literal(1), z.literal(2), z.literal(4)], { error: '1, 2 or 4' })
    .default(2)
    .describe('low-latency calls that may be under way, and results that may be alive, at a time'),
  credit: flag(
    'saves half of the receive buffers for a wait on every rank before rows are sent',
  ).default(false),
  dtype: oneOf(
    ['bf16', 'fp8_e4m3'],
    'type of the rows that arrive; what is sent is bf16, and cast on its way',
  ).default('bf16'),
  scaleDtype: oneOf(['f32', 'ue8m0'], 'type of a scale, for fp8: one per 128 elements').default(
    'f32',
  ),
  scaleLayout: oneOf(
    ['row', 'column'],
    'what lies side by side: the scales of a row, or those of a block',
  ).default('row'),
  roundScales: flag('scales are powers of two, for fp8; ue8m0 always are').default(false),
  stats: flag('counts per expert over calls, and times waited for each rank').default(false),
  combineDtype: oneOf(
    ['bf16', 'fp8_e4m3'],
    'type in which the rows of combine travel; what it takes and gives is bf16',
  ).default('bf16'),
});

const memoryFields = section({
  count: positive('channels of a rank, and most multiprocessors that a call holds').default(16),
  stages: auto('pieces of rows that a channel keeps in shared memory'),
  pieceBytes: auto('bytes of a row that move together, a multiple of 16'),
  inFlightBytes: auto('bytes of rows that a channel keeps under way').describe(
    "bytes of rows that a channel keeps under way, where stages is 'auto'",
  ),
  placement: oneOf(
    ['compact', 'slotted'],
    "how rows lie at the receiver: without gaps, or each source's from a place of its own",
  ).default('compact'),
});

const portFields = section({
  perPeer: positive('port channels to each peer on another node').default(8),
  queuePairs: positive('queue pairs of a port channel').default(1),
  fifo: positive('requests that fit between the device and its proxy').default(512),
});

const channelFields = section({
  memory: memoryFields.prefault({}).describe('channels to peers on the same node'),
  ll: z
    .union([z.literal('chip'), z.int().min(1, { error: "'chip' or a positive integer" })], {
      error: "'chip' or a positive integer",
    })
    .default('chip')
    .describe("most multiprocessors of a low-latency call; 'chip' is one a token, up to 128"),
  port: z
    .union([z.literal(false), portFields], { error: 'false or an object' })
    .default(false)
    .describe('channels to peers on other nodes, through a proxy'),
});

/** Every field that a spec may have. Sizes that relate fields to each other are in rules.ts. */
export const specSchema = section({
  name: z
    .string({ error: 'a name' })
    .regex(/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/, {
      error: 'lower-case words and digits joined by single underscores',
    })
    .max(64, { error: 'at most 64 characters long' })
    .optional()
    .describe('name of the spec, its folder and its C++ namespace'),
  ranks: positive('ranks that exchange tokens, one per GPU'),
  hidden: positive('elements of a token'),
  experts: positive('experts over all ranks').optional(),
  topk: positive('experts that a token chooses').optional(),
  dtype: oneOf(
    ['bf16', 'f16', 'fp8_e4m3', 'u8'],
    "type of the elements that dispatch moves; 'u8' is opaque bytes",
  ).default('bf16'),
  scaleBlock: positive('elements that share a scale, for fp8').default(128),
  scaleDtype: oneOf(['f32', 'ue8m0'], 'type of a scale, for fp8').default('f32'),
  scaleLayout: oneOf(
    ['row', 'column'],
    'what lies side by side: the scales of a token, or those of a block',
  ).default('row'),
  extraBytes: count('opaque bytes that travel beside each token, a multiple of 4').default(0),
  combineDtype: oneOf(['bf16', 'f16', 'f32'], 'type of the elements that combine moves').default(
    'bf16',
  ),
  topkIdx: oneOf(['i64', 'i32'], 'type of an expert index').default('i64'),
  ranksPerNode: positive('ranks that reach each other through memory').default(8),
  ht: z
    .union([z.literal(false), htFields], { error: 'false or an object' })
    .prefault({})
    .describe('high-throughput dispatch and combine; false where ll has all calls'),
  ll: z
    .union([z.literal(false), llFields], { error: 'false or an object' })
    .default(false)
    .describe('low-latency dispatch and combine'),
  channels: channelFields.prefault({}).describe('how transfers are split into parallel parts'),
  arenaBytes: auto('memory of a rank that tensors and handles come from'),
  maxSpillBytes: count(
    'bytes of registers that a CUDA kernel may spill, stores and loads; more fails the build',
  ).default(0),
});

/** Defaults that depend on other fields, as text. */
export const DERIVED_DEFAULTS: Readonly<Record<string, string>> = {
  name: 'ep<ranks>_h<hidden>_<dtype>, and what differs from the defaults',
  experts: '32 × ranks',
  topk: 'min(8, experts)',
};

export const DEFAULT_HT = htFields.parse({});
export const DEFAULT_LL = llFields.parse({});
