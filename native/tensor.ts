import {
  type BitsOf,
  bytesFrom,
  countElements,
  DTYPES,
  type DType,
  type ValuesOf,
} from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import type { Storage } from './storage.js';

/** Any tensor, whatever its elements and shape. */
export type AnyTensor = Tensor<DType, readonly number[]>;

/** A tensor's storage once it is known to be usable. Friends of the class call these; the package does not export them. */
export let usableStorage: (tensor: AnyTensor, name: string) => Storage;
/** A tensor over existing memory. */
export let createTensor: <D extends DType, const S extends readonly number[]>(
  dtype: D,
  shape: S,
  storage: Storage,
) => Tensor<D, S>;

/**
 * An array in one rank's memory, row-major without gaps. `rank.tensor` makes one in the rank's arena, where it lives until
 * `dispose()`, or until nothing refers to it. Tensors of received rows are views of the window and live shorter: see
 * {@link Received}. Every use throws {@link EpgenStaleError} once a view's memory went to a later call,
 * {@link EpgenArgumentError} after `dispose()`, and `EPGEN_DISPOSED` after the group's.
 */
export class Tensor<D extends DType = DType, S extends readonly number[] = readonly number[]> {
  /** Element type. */
  readonly dtype: D;
  /** Sizes, outermost first, in elements. */
  readonly shape: S;
  readonly #storage: Storage;
  #isDisposed = false;

  static {
    usableStorage = (tensor, name) => tensor.#usable(name);
    createTensor = (dtype, shape, storage) => new Tensor(dtype, shape, storage);
  }

  private constructor(dtype: D, shape: S, storage: Storage) {
    this.dtype = dtype;
    this.shape = Object.freeze([...shape]) as readonly number[] as S;
    this.#storage = storage;
  }

  /** Device address of the first element; 0 for a tensor of no elements in the arena. */
  get pointer(): bigint {
    return this.#usable('the tensor').pointer;
  }

  /**
   * Reads the elements' bits, flat, after all work that was enqueued on the rank before: bf16 and f16 as `Uint16Array`, f32
   * as `Float32Array`, i32 as `Int32Array`, i64 as `BigInt64Array`, fp8_e4m3 and u8 as `Uint8Array`.
   */
  async toArray(): Promise<BitsOf[D]> {
    const { rank, pointer, assertNotLost } = this.#usable('the tensor');
    const { bytes, bitsIn } = DTYPES[this.dtype];
    const numBytes = countElements(this.shape) * bytes;
    if (numBytes === 0) return bitsIn(new ArrayBuffer(0));
    try {
      return bitsIn(await rank.read(pointer, numBytes));
    } catch (error) {
      // What the read failed of may have kept the values from arriving: that says more.
      assertNotLost('the tensor');
      throw error;
    }
  }

  /** Reads the elements as f32, flat; i64 and i32 values beyond 2^24 are rounded. */
  async toFloat32(): Promise<Float32Array> {
    const bits = await this.toArray();
    return DTYPES[this.dtype].toFloat32(bits);
  }

  /**
   * Overwrites all elements, in order with the rank's other work; `values` may be changed as soon as this returns. bf16,
   * f16 and fp8_e4m3 round values to nearest even and take bits as `toArray` gives them. Resolves when the elements
   * are written.
   */
  async copyFrom(values: ValuesOf[D]): Promise<void> {
    // First, since taking values may run the caller's code, which may dispose the tensor.
    const bytes = bytesFrom(this.dtype, this.shape, values);
    const { rank, pointer, sealedReason } = this.#usable('the tensor');
    const reason = sealedReason();
    if (reason !== undefined) {
      throw new EpgenArgumentError(`Expected a tensor that may be written, but ${reason}`);
    }
    if (bytes.byteLength > 0) await rank.write(pointer, bytes);
  }

  /** Gives the memory back at once; calls that were enqueued before still see it. Safe to repeat. */
  dispose(): void {
    const { owner, rank } = this.#storage;
    if (this.#isDisposed || owner !== undefined) return;
    rank.group.refuseInCapture('dispose() of a tensor');
    this.#isDisposed = true;
    this.#storage.release();
  }

  #usable(name: string): Storage {
    const { group } = this.#storage.rank;
    group.assertOpen(name);
    if (this.#isDisposed) {
      throw new EpgenArgumentError(
        `Expected ${name} to be a live tensor but received one that was disposed`,
      );
    }
    this.#storage.assertLive(name);
    group.capture?.use(this, this.#storage.owner, () => this.#usable(name));
    return this.#storage;
  }
}
