import type { ArenaBlock } from './arena-block.js';
import { assertSameRank } from './arguments.js';
import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { HandleLife } from './handle-life.js';
import type { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import type { LowLatencyHandleLayout, Spec } from './spec-types.js';
import { type Tensor, usableStorage } from './tensor.js';
import type { WindowState } from './window-state.js';

/** What a low-latency handle is made of. */
export interface LowLatencyHandleParts {
  readonly rank: RankState;
  /** Where its dispatch ran, and its combines do. */
  readonly window: WindowState;
  readonly block: ArenaBlock;
  /** Which dispatch it is of: the same on all ranks, and for all replays of a graph. */
  readonly dispatchName: string;
  readonly numTokens: number;
  /** i32 [experts / ranks, ranks * maxTokensPerRank], in the window. */
  readonly srcInfo: Tensor<'i32', readonly [number, number]>;
  /** Of the dispatch, where a hook receives. */
  readonly receive: PendingReceive | undefined;
}

/** A handle's parts once it is known to be usable. */
let usableLowLatencyHandle: (handle: LowLatencyHandle, name: string) => LowLatencyHandleParts;
/** Friends of the class call it; the package does not export it. */
export let createLowLatencyHandle: <S extends Spec>(
  parts: LowLatencyHandleParts,
  numRecoveries: number,
) => LowLatencyHandle<S>;

/** Checks that a low-latency handle is usable on `rank`. */
export function checkLowLatencyHandle(
  rank: RankState,
  handle: unknown,
  name: string,
): LowLatencyHandleParts {
  rank.group.assertOpen();
  if (!(handle instanceof LowLatencyHandle)) {
    throw new EpgenArgumentError(
      `Expected ${name} to be what lowLatencyDispatch gave rank ${rank.idx} but received ${describe(handle)}`,
    );
  }
  const parts = usableLowLatencyHandle(handle, name);
  assertSameRank(rank, parts.rank, name);
  return parts;
}

/** The layout of a module's low-latency handles. */
export function lowLatencyHandleLayout({ group }: RankState): LowLatencyHandleLayout {
  const { llHandle, spec } = group.description;
  if (llHandle === undefined) throw new Error(`${spec.name} has no low-latency handles`);
  return llHandle;
}

/** Bytes of a low-latency handle for `numTokens` tokens. */
export function lowLatencyHandleBytes(rank: RankState, numTokens: number): number {
  const numSlots = numTokens * rank.group.dims.numTopk;
  return lowLatencyHandleLayout(rank).headerBytes + numSlots * Int32Array.BYTES_PER_ELEMENT;
}

/**
 * Routing of one low-latency dispatch on one rank, needed by the combine that belongs to it. It lives in the rank's arena
 * until `dispose()`, or until nothing refers to it; any number of combines may use it, one after the other. Its fields are
 * read after the dispatch was received, flat and row-major. Every use throws {@link EpgenArgumentError} after `dispose()` or
 * before the dispatch's hook was called, {@link EpgenStaleError} after `group.recover()`.
 */
export class LowLatencyHandle<S extends Spec = Spec> {
  /** Name of the spec that it was made with. */
  readonly spec: S['name'];
  /** Tokens that this rank sent. */
  readonly numTokens: number;
  readonly #parts: LowLatencyHandleParts;
  readonly #life: HandleLife;

  static {
    usableLowLatencyHandle = (handle, name) => handle.#usable(name);
    createLowLatencyHandle = (parts, numRecoveries) => new LowLatencyHandle(parts, numRecoveries);
  }

  private constructor(parts: LowLatencyHandleParts, numRecoveries: number) {
    this.spec = parts.rank.group.description.spec.name;
    this.numTokens = parts.numTokens;
    this.#parts = parts;
    this.#life = new HandleLife(parts.block, numRecoveries);
  }

  /** i32 [experts / ranks]: how many rows of each local expert arrived. */
  async numTokensPerExpert(): Promise<Int32Array> {
    const { fields } = lowLatencyHandleLayout(this.#parts.rank);
    const numBytes = this.#dims.numLocalExperts * Int32Array.BYTES_PER_ELEMENT;
    return new Int32Array(await this.#read(fields.numTokensPerExpert, numBytes));
  }

  /**
   * i64 [experts / ranks, ranks]: where the rows of each source rank begin among an expert's, in the upper 32 bits, and how
   * many there are, in the lower.
   */
  async layoutRange(): Promise<BigInt64Array> {
    const { fields } = lowLatencyHandleLayout(this.#parts.rank);
    const { numLocalExperts, numRanks } = this.#dims;
    const numBytes = numLocalExperts * numRanks * BigInt64Array.BYTES_PER_ELEMENT;
    return new BigInt64Array(await this.#read(fields.layoutRange, numBytes));
  }

  /**
   * i32 [experts / ranks, ranks * maxTokensPerRank]: the token of its source rank that each row is; undefined behind the
   * rows that arrived. Lies in the window: throws {@link EpgenStaleError} once the result's views do.
   */
  async srcInfo(): Promise<Int32Array> {
    const { srcInfo } = this.#usable('the handle');
    usableStorage(srcInfo, 'srcInfo of the handle');
    return srcInfo.toArray();
  }

  /**
   * i32 [tokens, topk]: the row of each selection,
   * `(owner * experts / ranks + local expert) * ranks * maxTokensPerRank + row`, or -1 where there is none. Selections of one
   * expert by one token share a row.
   */
  async slot(): Promise<Int32Array> {
    const { headerBytes } = lowLatencyHandleLayout(this.#parts.rank);
    const numBytes = this.numTokens * this.#dims.numTopk * Int32Array.BYTES_PER_ELEMENT;
    return new Int32Array(await this.#read(headerBytes, numBytes));
  }

  /** Gives the memory back as soon as no hook needs it; calls that were enqueued before still see it. Safe to repeat. */
  dispose(): void {
    this.#life.dispose();
  }

  get #dims() {
    return this.#parts.rank.group.dims;
  }

  #usable(name: string): LowLatencyHandleParts {
    this.#life.assertUsable(name);
    return this.#parts;
  }

  async #read(offset: number, numBytes: number): Promise<ArrayBuffer> {
    const { rank, block, receive } = this.#usable('the handle');
    receive?.assertEnqueued('the handle');
    if (numBytes === 0) return new ArrayBuffer(0);
    return rank.read(block.pointer + BigInt(offset), numBytes);
  }
}
