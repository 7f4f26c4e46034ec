// Tensors too large to be read or made whole: rows that lie far apart, compared with those of a small model.
import type { AnyTensor, Rank, Tensor } from '../../native/index.js';
import { bitsOf, difference } from './compare.js';

/** Rows that follow each other, in a large tensor and in the model. */
export interface Stretch {
  readonly farRow: number;
  readonly modelRow: number;
  readonly numRows: number;
}

/** A tensor of rows, or of columns where `columns` are those that are looked at. */
interface Lines {
  readonly name: string;
  readonly width: number;
  readonly columns?: readonly number[];
}

type Elements = Uint8Array | Uint16Array | Uint32Array | Int32Array | BigInt64Array;

const elementBytes = { bf16: 2, f16: 2, f32: 4, fp8_e4m3: 1, i32: 4, i64: 8, u8: 1 } as const;

/** `length` elements of a tensor from `first` on. */
function elementsOf<T extends AnyTensor>(
  rank: Rank,
  tensor: T,
  first: number,
  length: number,
): Tensor<T['dtype']> {
  const pointer = tensor.pointer + BigInt(first) * BigInt(elementBytes[tensor.dtype]);
  return rank.tensorFromPointer(tensor.dtype, [length], pointer);
}

/** Writes the rows of the model to where they lie in the large tensor. */
export async function writeFar(
  rank: Rank,
  tensor: AnyTensor,
  { width, columns }: Lines,
  model: Elements,
  stretches: readonly Stretch[],
): Promise<void> {
  const numModelRows = model.length / width;
  for (const { farRow, modelRow, numRows } of stretches) {
    const write = (far: number, near: number, length: number) =>
      elementsOf(rank, tensor, far, length).copyFrom(
        valuesOf(tensor, model.subarray(near, near + length)) as never,
      );
    if (columns === undefined) {
      await write(farRow * width, modelRow * width, numRows * width);
      continue;
    }
    const numFarRows = tensor.shape[1]!;
    for (const column of columns) {
      await write(column * numFarRows + farRow, column * numModelRows + modelRow, numRows);
    }
  }
}

/** Compares the rows of the model with those of the large tensor, bit for bit. Returns the differences. */
export async function farDifferences(
  rank: Rank,
  tensor: AnyTensor,
  { name, width, columns }: Lines,
  model: Elements,
  stretches: readonly Stretch[],
): Promise<string[]> {
  const numModelRows = model.length / width;
  const differences: (string | undefined)[] = [];
  const compare = async (far: number, near: number, length: number) => {
    const got = await elementsOf(rank, tensor, far, length).toArray();
    const bits = got instanceof Float32Array ? bitsOf(got) : got;
    const want = model.subarray(near, near + length);
    differences.push(difference(`${name} from element ${far}`, width, bits, want));
  };
  for (const { farRow, modelRow, numRows } of stretches) {
    if (columns === undefined) {
      await compare(farRow * width, modelRow * width, numRows * width);
      continue;
    }
    const numFarRows = tensor.shape[1]!;
    for (const column of columns) {
      await compare(column * numFarRows + farRow, column * numModelRows + modelRow, numRows);
    }
  }
  return differences.filter((text) => text !== undefined);
}

function valuesOf({ dtype }: AnyTensor, bits: Elements): Elements | Float32Array {
  return dtype === 'f32' ? new Float32Array(bits.buffer, bits.byteOffset, bits.length) : bits;
}
