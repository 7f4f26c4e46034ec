import type { ArenaBlock } from './arena-block.js';
import { assertSameRank } from './arguments.js';
import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { HandleLife } from './handle-life.js';
import { highThroughputOf } from './high-throughput.js';
import type { RankState } from './rank-state.js';
import type { HandleLayout, Spec } from './spec-types.js';
import { type Tensor, usableStorage } from './tensor.js';
import type { WindowState } from './window-state.js';

/** What a handle is made of. */
export interface HandleParts {
  readonly rank: RankState;
  /** Where its dispatch ran, and its combines do. */
  readonly window: WindowState;
  readonly block: ArenaBlock;
  /** Which dispatch it is of: the same on all ranks, and for all replays of a graph. */
  readonly dispatchName: string;
  readonly numTokens: number;
  readonly numRecvTokens: number | undefined;
  /** Rows that its received tensors have, with what is padding or gaps. */
  readonly numRows: number;
  readonly expertAlignment: number;
  /** Rows of each local expert, padding included; undefined where nobody waited for counts. */
  readonly numTokensPerExpert: Int32Array | undefined;
  /** i32 [rows], in the window. */
  readonly srcIdx: Tensor<'i32', readonly [number]>;
}

/** A handle's parts once it is known to be usable. */
let usableHandle: (handle: Handle, name: string) => HandleParts;
/** Friends of the class call it; the package does not export it. */
export let createHandle: <S extends Spec>(parts: HandleParts, numRecoveries: number) => Handle<S>;

/** Checks that a handle is usable on `rank`. */
export function checkHandle(rank: RankState, handle: unknown, name: string): HandleParts {
  rank.group.assertOpen();
  if (!(handle instanceof Handle)) {
    throw new EpgenArgumentError(
      `Expected ${name} to be what dispatch gave rank ${rank.idx} but received ${describe(handle)}`,
    );
  }
  const parts = usableHandle(handle, name);
  assertSameRank(rank, parts.rank, name);
  return parts;
}

/** Bytes of a handle for `numTokens` tokens. */
export function handleBytes(layout: HandleLayout, numRanks: number, numTokens: number): number {
  return layout.headerBytes + numTokens * numRanks * Int32Array.BYTES_PER_ELEMENT;
}

/**
 * Routing of one dispatch on one rank, needed by the combine that belongs to it. It lives in the rank's arena until
 * `dispose()`, or until nothing refers to it; any number of combines may use it. Its fields are read after the dispatch has
 * ended, flat and row-major. Every use throws {@link EpgenArgumentError} after `dispose()`, {@link EpgenStaleError} after
 * `group.recover()`.
 */
export class Handle<S extends Spec = Spec> {
  /** Name of the spec that it was made with. */
  readonly spec: S['name'];
  /** Tokens that this rank sent. */
  readonly numTokens: number;
  /** Rows that this rank received; undefined where nobody waited for counts: from `enqueueDispatch`, or with `numWorstTokens`. */
  readonly numRecvTokens: number | undefined;
  readonly #parts: HandleParts;
  readonly #life: HandleLife;

  static {
    usableHandle = (handle, name) => handle.#usable(name);
    createHandle = (parts, numRecoveries) => new Handle(parts, numRecoveries);
  }

  private constructor(parts: HandleParts, numRecoveries: number) {
    this.spec = parts.rank.group.description.spec.name;
    this.numTokens = parts.numTokens;
    this.numRecvTokens = parts.numRecvTokens;
    this.#parts = parts;
    this.#life = new HandleLife(parts.block, numRecoveries);
  }

  /** i32 [ranks, ranks]: [i][j] is how many tokens ranks 0..i sent to rank j. */
  rankPrefixMatrix(): Promise<Int32Array> {
    const { numRanks } = this.#dims;
    return this.#read(this.#layout.fields.rankPrefixMatrix, numRanks * numRanks);
  }

  /** i32 [ranks, channels]: [j][c] is how many tokens this rank sent to rank j through channels 0..c. */
  channelPrefixMatrix(): Promise<Int32Array> {
    const { numRanks, numChannels } = this.#dims;
    return this.#read(this.#layout.fields.channelPrefixMatrix, numRanks * numChannels);
  }

  /** i32 [ranks, channels]: [i][c] is where channel c's rows start among those from rank i. */
  recvChannelPrefixMatrix(): Promise<Int32Array> {
    const { numRanks, numChannels } = this.#dims;
    return this.#read(this.#layout.fields.recvChannelPrefixMatrix, numRanks * numChannels);
  }

  /** i32 [tokens, ranks]: the row that each token got at each rank, or -1 where it did not go. */
  slot(): Promise<Int32Array> {
    return this.#read(this.#layout.headerBytes, this.numTokens * this.#dims.numRanks);
  }

  /** u8 [tokens, ranks]: 1 where the token went to the rank, else 0. */
  async isTokenInRank(): Promise<Uint8Array> {
    return Uint8Array.from(await this.slot(), (row) => (row >= 0 ? 1 : 0));
  }

  /**
   * i32 [rows]: the token of its source rank that each received row is; `maxRecvTokens` rows from `enqueueDispatch`. Lies
   * in the window: throws {@link EpgenStaleError} once the result's views do.
   */
  async recvSrcIdx(): Promise<Int32Array> {
    const { srcIdx } = this.#usable('the handle');
    usableStorage(srcIdx, 'recvSrcIdx of the handle');
    return srcIdx.toArray();
  }

  /** Gives the memory back at once; calls that were enqueued before still see it. Safe to repeat. */
  dispose(): void {
    this.#life.dispose();
  }

  get #dims() {
    return this.#parts.rank.group.dims;
  }

  get #layout(): HandleLayout {
    return highThroughputOf(this.#parts.rank.group).handle;
  }

  #usable(name: string): HandleParts {
    this.#life.assertUsable(name);
    return this.#parts;
  }

  async #read(offset: number, numElements: number): Promise<Int32Array> {
    const { rank, block } = this.#usable('the handle');
    if (numElements === 0) return new Int32Array(0);
    const pointer = block.pointer + BigInt(offset);
    const numBytes = numElements * Int32Array.BYTES_PER_ELEMENT;
    return new Int32Array(await rank.read(pointer, numBytes));
  }
}
