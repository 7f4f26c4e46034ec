// Checks of call arguments. Every message names the argument, what was expected of it, and what came.
import { countElements, DTYPES, type DType, describe } from './dtype.js';
import { EpgenArgumentError, EpgenUnsupportedError } from './errors.js';
import { MOST_EMULATED_BLOCKS } from './local-grid.js';
import type { RankState } from './rank-state.js';
import type { Storage } from './storage.js';
import { Tensor, usableStorage } from './tensor.js';

/** Options of the public interface that later versions bring, and the values that ask for nothing. */
const LATER_OPTIONS: Readonly<Record<string, readonly unknown[]>> = {
  allocateOnCommStream: [false],
  out: [null],
};

/** Refuses a call that is not an object. `path` is empty or ends in a dot. */
export function assertObject(
  path: string,
  options: unknown,
): asserts options is Readonly<Record<string, unknown>> {
  if (typeof options === 'object' && options !== null) return;
  throw new EpgenArgumentError(
    `Expected ${callName(path)} to be an object but received ${describe(options)}`,
  );
}

/** What `path` leads to. */
export function callName(path: string): string {
  return path === '' ? 'the call' : path.slice(0, -1);
}

/** Refuses a call that is not an object, or has keys that it does not know. `path` is empty or ends in a dot. */
export function assertCall(
  path: string,
  options: unknown,
  known: readonly string[],
): asserts options is Readonly<Record<string, unknown>> {
  assertObject(path, options);
  const name = callName(path);
  for (const [key, value] of Object.entries(options)) {
    if (known.includes(key) || value === undefined) continue;
    const neutral = Object.hasOwn(LATER_OPTIONS, key) ? LATER_OPTIONS[key] : undefined;
    if (neutral?.includes(value)) continue;
    if (neutral !== undefined) {
      throw new EpgenUnsupportedError(
        `Expected ${name} to be without ${key}, which this version does not support, but received ${describe(value)}`,
      );
    }
    throw new EpgenArgumentError(
      `Expected ${name} to have only ${known.join(', ')} but received ${key}`,
    );
  }
}

interface WantedTensor {
  readonly name: string;
  readonly dtype: DType;
}

/** What a tensor of rows, or of columns, has to be. */
export interface WantedRows extends WantedTensor {
  readonly rowSize: number;
  /** What `rowSize` is in the spec. */
  readonly rowSizeName: string;
}

/** A tensor that was found right. */
export interface CheckedTensor {
  readonly storage: Storage;
  /** Throws where the tensor is not usable any more. */
  recheck(): void;
}

export interface CheckedRows extends CheckedTensor {
  readonly numRows: number;
}

/** Checks a tensor of rows that belongs to `rank`; gives its memory and number of rows. */
export function checkRows(rank: RankState, value: unknown, wanted: WantedRows): CheckedRows {
  const { rowSize, rowSizeName } = wanted;
  const { shape, ...tensor } = checkTensor(rank, value, wanted);
  const [numRows, size] = shape;
  if (shape.length !== 2 || numRows === undefined || size !== rowSize) {
    throw wrongShape(rank, wanted.name, `tokens, ${rowSize}`, rowSizeName, shape);
  }
  return { ...tensor, numRows };
}

/** As {@link checkRows}, of a tensor whose rows lie below each other. */
export function checkColumns(
  rank: RankState,
  value: unknown,
  wanted: WantedRows,
): CheckedTensor & { readonly numColumns: number } {
  const { rowSize, rowSizeName } = wanted;
  const { shape, ...tensor } = checkTensor(rank, value, wanted);
  const [size, numColumns] = shape;
  if (shape.length !== 2 || numColumns === undefined || size !== rowSize) {
    throw wrongShape(rank, wanted.name, `${rowSize}, tokens`, rowSizeName, shape);
  }
  return { ...tensor, numColumns };
}

/** Checks a tensor of a known shape that belongs to `rank`. */
export function checkShaped(
  rank: RankState,
  value: unknown,
  wanted: WantedTensor & { readonly sizes: readonly number[]; readonly sizeNames: string },
): CheckedTensor {
  const { shape, ...tensor } = checkTensor(rank, value, wanted);
  const { sizes } = wanted;
  if (shape.length !== sizes.length || sizes.some((size, i) => shape[i] !== size)) {
    throw wrongShape(rank, wanted.name, sizes.join(', '), wanted.sizeNames, shape);
  }
  return tensor;
}

function checkTensor(
  rank: RankState,
  value: unknown,
  { name, dtype }: WantedTensor,
): CheckedTensor & { readonly shape: readonly number[] } {
  if (!(value instanceof Tensor)) {
    throw new EpgenArgumentError(
      `Expected ${name} to be a tensor of rank ${rank.idx} with the dtype ${dtype} but received ${describe(value)}`,
    );
  }
  const storage = usableStorage(value, name);
  assertSameRank(rank, storage.rank, name);
  if (value.dtype !== dtype) {
    throw new EpgenArgumentError(
      `Expected ${name} to have the dtype ${dtype} but received ${value.dtype}`,
    );
  }
  return { storage, shape: value.shape, recheck: () => void usableStorage(value, name) };
}

function wrongShape(
  rank: RankState,
  name: string,
  wanted: string,
  sizeName: string,
  shape: readonly number[],
): EpgenArgumentError {
  return new EpgenArgumentError(
    `Expected ${name} to have the shape [${wanted}] (${sizeName} of ${rank.group.description.spec.name}) but received [${shape.join(', ')}]`,
  );
}

/** Something with as many rows or columns as there are tokens. */
export interface PerToken {
  readonly name: string;
  readonly size: number;
}

/** Refuses a tensor beside the rows `x` that is for another number of tokens. */
export function assertAsMany(
  what: 'rows' | 'columns',
  { name, size }: PerToken,
  x: PerToken,
): void {
  if (size === x.size) return;
  const wanted = what === 'rows' ? x.name : `${x.name} has rows`;
  throw new EpgenArgumentError(
    `Expected ${name} to have as many ${what} as ${wanted}, ${x.size}, but received ${size}`,
  );
}

/** Refuses what belongs to another rank or group. */
export function assertSameRank(rank: RankState, owner: RankState, name: string): void {
  if (owner === rank) return;
  const where = owner.group === rank.group ? '' : ' of another group';
  const spec = owner.group.description.spec.name;
  const which = spec === rank.group.description.spec.name ? '' : `, which was built from ${spec}`;
  throw new EpgenArgumentError(
    `Expected ${name} to belong to rank ${rank.idx} but received one of rank ${owner.idx}${where}${which}`,
  );
}

/** Checks against the most tokens that a rank may send; says the way out. */
export function assertTokens(rank: RankState, name: string, numTokens: number): void {
  const { maxTokensPerRank } = rank.group.dims;
  if (numTokens <= maxTokensPerRank) return;
  throw new EpgenArgumentError(
    `Expected ${name} to have at most ${maxTokensPerRank} tokens but received ${numTokens}`,
    {
      hint: `Raise ht.maxTokensPerRank in the spec and build again, or run epgen build with --max-tokens ${numTokens}.`,
    },
  );
}

/** Refuses a tensor that a call would write and must not. */
export function assertWritable({ storage }: CheckedTensor, name: string): void {
  const reason = storage.sealedReason();
  if (reason === undefined) return;
  throw new EpgenArgumentError(
    `Expected ${name} to be a tensor that may be written, but ${reason}`,
  );
}

/** How many channels run at once. */
export function checkNumChannels(rank: RankState, name: string, value: unknown): number {
  const { numChannels } = rank.group.dims;
  if (value === undefined) {
    return rank.group.backend === 'cpu' ? Math.min(numChannels, MOST_EMULATED_BLOCKS) : numChannels;
  }
  return checkInteger(name, value, { min: 1, max: numChannels });
}

export function checkInteger(
  name: string,
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw new EpgenArgumentError(
    `Expected ${name} to be an integer in ${min}..${max} but received ${describe(value)}`,
  );
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof value === 'boolean') return value;
  throw new EpgenArgumentError(
    `Expected ${name} to be true or false but received ${describe(value)}`,
  );
}

export function checkDType(value: unknown): DType {
  if (typeof value === 'string' && Object.hasOwn(DTYPES, value)) return value as DType;
  throw new EpgenArgumentError(
    `Expected dtype to be one of ${Object.keys(DTYPES).join(', ')} but received ${describe(value)}`,
  );
}

/** Checks the shape of a tensor on `rank`; gives a copy of it, and its size in bytes. */
export function checkShape<S extends readonly number[]>(
  rank: RankState,
  dtype: DType,
  shape: S,
): { readonly shape: S; readonly numBytes: number } {
  if (!Array.isArray(shape)) {
    throw new EpgenArgumentError(
      `Expected shape to be an array of sizes but received ${describe(shape)}`,
    );
  }
  // A copy has no holes, which forEach would pass over, and stays what was checked.
  const sizes: readonly unknown[] = Array.from(shape);
  sizes.forEach((size, i) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return;
    throw new EpgenArgumentError(
      `Expected shape[${i}] to be a whole number, 0 or more, but received ${describe(size)}`,
    );
  });
  const numBytes = countElements(sizes as S) * DTYPES[dtype].bytes;
  const { arenaBytes, windowBytes } = rank.group.description.sizes;
  const maxBytes = Math.max(arenaBytes, windowBytes);
  if (numBytes > maxBytes) {
    throw new EpgenArgumentError(
      `Expected shape to have at most ${maxBytes} bytes, all that rank ${rank.idx} has in one piece, but received [${sizes.join(', ')}] of ${dtype}, ${numBytes} bytes`,
    );
  }
  return { shape: sizes as S, numBytes };
}
