import type { RawExpertMajorCall } from './addon-types.js';
import { ArenaBlock, allocateAll } from './arena-block.js';
import { countElements, DTYPES, type DType } from './dtype.js';
import { checkExpertMajor, type ExpertMajorArguments } from './expert-major-arguments.js';
import type { ExpertMajor } from './expert-major-types.js';
import { rememberSlot } from './expert-slot.js';
import { localGrid } from './local-grid.js';
import type { RankState } from './rank-state.js';
import { hasScales } from './spec-features.js';
import type { Spec } from './spec-types.js';
import { blockStorage } from './storage.js';
import { MAIN_STREAM } from './stream-order.js';
import { createTensor } from './tensor.js';

/** What a tensor of the result is. */
interface Kind {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Groups received rows by local expert, in the order of the rank's own stream. */
export function expertMajor(
  rank: RankState,
  received: unknown,
  options: unknown,
): ExpertMajor<Spec> {
  const args = checkExpertMajor(rank, received, options);
  const kinds = Object.entries(kindsOf(rank, args));
  const blocks = allocateAll(
    rank,
    Object.fromEntries(kinds.map(([name, kind]) => [name, numBytes(kind)])),
  );
  try {
    const arrival = rank.follow(launch(rank, args, blocks));
    const tensors = Object.fromEntries(
      kinds.map(([name, { dtype, shape }]) => {
        const storage = blockStorage(blocks[name] as ArenaBlock, arrival);
        return [name, createTensor(dtype, shape, storage)];
      }),
    );
    const numTokensPerExpert = Int32Array.from(args.numTokensPerExpert);
    const result = { ...tensors, numTokensPerExpert } as unknown as ExpertMajor<Spec>;
    rememberSlot(result.slot, args.handle);
    return result;
  } catch (error) {
    for (const block of Object.values(blocks)) block.free();
    throw error;
  }
}

/** The tensors of a result by name. */
function kindsOf(
  rank: RankState,
  { numRows, numExpertRows }: ExpertMajorArguments,
): Readonly<Record<string, Kind>> {
  const { dims, description } = rank.group;
  const { dtype, extraBytes } = description.spec;
  const rows = (dtype: DType, size: number): Kind => ({ dtype, shape: [numExpertRows, size] });
  return {
    x: rows(dtype, dims.hidden),
    ...(hasScales(description.spec) ? { xScales: scalesOf(rank, numExpertRows) } : {}),
    ...(extraBytes > 0 ? { extras: rows('u8', extraBytes) } : {}),
    topkWeights: { dtype: 'f32', shape: [numExpertRows] },
    slot: { dtype: 'i32', shape: [numRows, dims.numTopk] },
  };
}

function scalesOf(rank: RankState, numExpertRows: number): Kind {
  const { numScaleWords, scaleColumnWords } = rank.group.dims;
  return {
    dtype: rank.group.description.spec.scaleDtype === 'f32' ? 'f32' : 'i32',
    shape: scaleColumnWords > 0 ? [numScaleWords, numExpertRows] : [numExpertRows, numScaleWords],
  };
}

function launch(
  rank: RankState,
  args: ExpertMajorArguments,
  blocks: Readonly<Record<string, ArenaBlock>>,
): Promise<void> {
  const { handle, numRows, numExpertRows, received, zeroPadding } = args;
  const { numLocalExperts } = rank.group.dims;
  const grid = localGrid(rank, numRows);
  const counts = new ArenaBlock(rank, grid * numLocalExperts * DTYPES.i32.bytes);
  const written = Object.entries({ ...blocks, counts }).map(([name, { pointer }]) => [
    name,
    pointer,
  ]);
  const call = {
    numRows,
    numExpertRows,
    handle: handle.block.pointer,
    ...received,
    ...Object.fromEntries(written),
    grid,
    zeroPadding,
  } as RawExpertMajorCall;
  const access = () => ({
    reads: [call.handle, ...Object.values(received)].flatMap((at) => rank.resourcesAt(at)),
    writes: written.flatMap(([, at]) => rank.resourcesAt(at as bigint)),
  });
  try {
    return rank.order.perform(MAIN_STREAM, access, () =>
      rank.group.callSync((raw) => raw.expertMajor(rank.idx, call)),
    );
  } finally {
    // The kernels keep their order before whoever gets the block next.
    counts.free();
  }
}

function numBytes({ dtype, shape }: Kind): number {
  return countElements(shape) * DTYPES[dtype].bytes;
}
