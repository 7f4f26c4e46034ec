import { at } from './at.js';
import { floatFromFp8, fp8FromFloat, fp8Max } from './fp8.js';
import { packUe8m0, unpackUe8m0 } from './scales.js';

export interface Fp8Blocks {
  readonly hidden: number;
  /** Elements that share a scale; in f32 the last block of a row may be shorter. */
  readonly scaleBlock: number;
  readonly scaleDtype: 'f32' | 'ue8m0';
  /** Whether f32 scales are rounded up to powers of two; UE8M0 scales always are. Default: false. */
  readonly roundScales?: boolean;
}

/** fp8 rows and their scales. */
export interface Fp8Rows {
  /** fp8 bits [tokens][hidden]. */
  readonly x: Uint8Array;
  /** [tokens][words]: f32 bits, or four UE8M0 scales in each word. */
  readonly xScales: Uint32Array;
}

/** A block counts as if its largest element were no smaller: zeros and tiny blocks have a scale too. */
const minAmax = Math.fround(1e-4);

/**
 * Casts f32 rows [tokens][hidden] to fp8 with one scale for each block. All steps are f32: the scale is amax / 448, where
 * NaNs do not count; an element is multiplied by 448 / amax. With UE8M0 or `roundScales` the scale is rounded up to a power
 * of two first, and elements are divided by the rounded one. A block with an infinity has the scale infinity, in UE8M0 255,
 * and zeros but for a NaN where the infinity was.
 */
export function castToFp8(values: Float32Array, blocks: Fp8Blocks): Fp8Rows {
  const { hidden, scaleBlock, scaleDtype, roundScales = false } = blocks;
  const numTokens = values.length / hidden;
  const numBlocks = Math.ceil(hidden / scaleBlock);
  const x = new Uint8Array(values.length);
  const scales = new Float32Array(numTokens * numBlocks);
  scales.forEach((_, i) => {
    const first = Math.floor(i / numBlocks) * hidden + (i % numBlocks) * scaleBlock;
    const length = Math.min(scaleBlock, hidden - (i % numBlocks) * scaleBlock);
    const block = values.subarray(first, first + length);
    const { scale, factor } = scaleOf(block, roundScales || scaleDtype === 'ue8m0');
    scales[i] = scale;
    x.set(
      Uint8Array.from(block, (value) => fp8FromFloat(Math.fround(value * factor))),
      first,
    );
  });
  const xScales =
    scaleDtype === 'ue8m0'
      ? packUe8m0(Uint8Array.from(scales, ue8m0FromPowerOfTwo))
      : new Uint32Array(scales.buffer);
  return { x, xScales };
}

/** The f32 rows that fp8 rows stand for: each product rounded to f32. */
export function castFromFp8({ x, xScales }: Fp8Rows, blocks: Fp8Blocks): Float32Array {
  const { hidden, scaleBlock, scaleDtype } = blocks;
  const numBlocks = Math.ceil(hidden / scaleBlock);
  const scales =
    scaleDtype === 'ue8m0'
      ? Float32Array.from(unpackUe8m0(xScales), powerOfTwoFromUe8m0)
      : new Float32Array(xScales.buffer, xScales.byteOffset, xScales.length);
  return Float32Array.from(x, (bits, i) => {
    const block = Math.floor(i / hidden) * numBlocks + Math.floor((i % hidden) / scaleBlock);
    return floatFromFp8(bits) * at(scales, block);
  });
}

function scaleOf(
  block: Float32Array,
  isRounded: boolean,
): { readonly scale: number; readonly factor: number } {
  const amax = block.reduce(
    (largest, value) => (Math.abs(value) > largest ? Math.abs(value) : largest),
    minAmax,
  );
  const exact = Math.fround(amax / fp8Max);
  if (!isRounded) return { scale: exact, factor: Math.fround(fp8Max / amax) };
  const scale = powerOfTwoFrom(exact);
  return { scale, factor: 1 / scale };
}

/** The smallest power of two that is no smaller than a positive number. */
function powerOfTwoFrom(value: number): number {
  if (value === Infinity) return value;
  let power = 1;
  while (power < value) power *= 2;
  while (power / 2 >= value) power /= 2;
  return power;
}

function ue8m0FromPowerOfTwo(power: number): number {
  return power === Infinity ? 255 : Math.log2(power) + 127;
}

function powerOfTwoFromUe8m0(code: number): number {
  return code === 255 ? Number.NaN : 2 ** (code - 127);
}
