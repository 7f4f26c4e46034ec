import type { RawGroup } from '../../../native/addon-types.js';
import { stateOf } from '../../../native/group.js';
import type { Group } from '../../../native/index.js';
import type { Sizes, Spec } from '../../../native/spec-types.js';
import { type LowLatencyTokens, llOf } from '../../support/low-latency.js';

/** One rank's tokens, uploaded. */
export interface UploadedTokens {
  readonly numTokens: number;
  readonly x: bigint;
  readonly topkIdx: bigint;
  readonly topkWeights: bigint;
}

type RegionName = 'llRecvX' | 'llRecvSrcIdx';

/** Low-latency calls below the TypeScript layer: memory is allocated once and can be poisoned in stream order. */
export class RawLowLatency {
  readonly raw: RawGroup;
  readonly numBuffers: number;
  /** Of one token's sums. */
  readonly #sumBytes: number;
  readonly #outBytes: number;
  readonly #regions: Sizes['regions'];
  /** Per rank. */
  readonly #handles: readonly bigint[];
  readonly #outs: readonly bigint[];

  constructor(group: Group, spec: Spec) {
    const { raw, description } = stateOf(group);
    const { regions, llHandleBytes = 0 } = description.sizes;
    const blocks = (bytes: number) => group.ranks.map((_, r) => raw.alloc(r, bytes));
    this.raw = raw;
    this.numBuffers = regions.llRecvX!.numBuffers;
    this.#sumBytes = spec.hidden * 2;
    this.#outBytes = llOf(spec).maxTokensPerRank * this.#sumBytes;
    this.#regions = regions;
    this.#handles = blocks(llHandleBytes);
    this.#outs = blocks(this.#outBytes);
  }

  upload(inputs: readonly LowLatencyTokens[]): Promise<readonly UploadedTokens[]> {
    return Promise.all(
      inputs.map(async ({ numTokens, x, topkIdx, topkWeights }, r) => ({
        numTokens,
        x: await this.#upload(r, x),
        topkIdx: await this.#upload(r, topkIdx as BigInt64Array),
        topkWeights: await this.#upload(r, topkWeights),
      })),
    );
  }

  /** A dispatch, whole or in halves. */
  dispatch(r: number, tokens: UploadedTokens, { grid, halves }: RawOptions): void {
    const { numTokens, x, topkIdx } = tokens;
    const call = { numTokens, handle: this.#handles[r]! };
    const sent = { ...call, x, topkIdx, grid };
    this.raw.llDispatch(r, { ...sent, phases: halves ? 'send' : 'both' });
    if (halves) this.raw.llDispatch(r, { ...call, phases: 'receive', grid: 1 });
  }

  /** Sums the rows of dispatch `sequence` as they came, whole or in halves. */
  combine(
    r: number,
    tokens: UploadedTokens,
    { grid, halves, sequence }: RawOptions & { readonly sequence: number },
  ): Promise<unknown> {
    const { numTokens, topkWeights } = tokens;
    const call = { numTokens, handle: this.#handles[r]! };
    const inputOffset = BigInt(this.#offset('llRecvX', sequence));
    const summed = { ...call, topkWeights, out: this.#outs[r]!, grid };
    if (!halves) return this.raw.llCombine(r, { ...summed, phases: 'both', inputOffset });
    return Promise.all([
      this.raw.llCombine(r, { ...call, phases: 'send', inputOffset, grid: 1 }),
      this.raw.llCombine(r, { ...summed, phases: 'receive' }),
    ]);
  }

  /** Poisons what dispatch `sequence` will write. */
  poisonRows(r: number, sequence: number, value: number): Promise<unknown> {
    const fill = (name: RegionName) =>
      this.raw.fill(r, this.#pointer(r, name, sequence), this.#regions[name]!.bytes, value);
    return Promise.all([fill('llRecvX'), fill('llRecvSrcIdx')]);
  }

  poisonSums(r: number, value: number): Promise<void> {
    return this.raw.fill(r, this.#outs[r]!, this.#outBytes, value);
  }

  /** All that a region has of dispatch `sequence`. */
  read(r: number, name: RegionName, sequence: number): Promise<ArrayBuffer> {
    return this.raw.read(r, this.#pointer(r, name, sequence), this.#regions[name]!.bytes);
  }

  readSums(r: number, numTokens: number): Promise<ArrayBuffer> {
    return this.raw.read(r, this.#outs[r]!, numTokens * this.#sumBytes);
  }

  #offset(name: RegionName, sequence: number): number {
    const { offset, stride, numBuffers } = this.#regions[name]!;
    return offset + (sequence % numBuffers) * stride;
  }

  #pointer(r: number, name: RegionName, sequence: number): bigint {
    return this.raw.windowBase(r) + BigInt(this.#offset(name, sequence));
  }

  async #upload(r: number, values: Uint16Array | Uint32Array | BigInt64Array): Promise<bigint> {
    const { buffer, byteOffset, byteLength } = values;
    const pointer = this.raw.alloc(r, Math.max(16, byteLength));
    await this.raw.write(r, pointer, new Uint8Array(buffer, byteOffset, byteLength));
    return pointer;
  }
}

export interface RawOptions {
  readonly grid: number;
  /** A send and a receive, instead of one launch. */
  readonly halves: boolean;
}
