import { layoutFromPlan } from '../../generator/layout.js';
import { planFromSpec } from '../../generator/plan.js';
import { parseSpec } from '../../generator/spec.js';
import type { RawAddon, RawGroup, RawLlPhases } from '../../native/addon-types.js';
import { bf16FromFloat32, float32FromBf16 } from '../../native/bf16.js';
import { buildSpec } from '../support/built.js';
import { loadRaw } from './raw-exchange.js';

const ranks = 2;
const hidden = 16;
const experts = 4;
const topk = 2;
const maxTokens = 8;
const localExperts = experts / ranks;
const rowsPerExpert = ranks * maxTokens;

export const rawLlSpec = {
  ranks,
  hidden,
  experts,
  topk,
  name: 'raw_ll',
  ht: { maxTokensPerRank: 8 },
  ll: { maxTokensPerRank: maxTokens, inFlight: 2, stats: true },
} as const;

const layout = layoutFromPlan(planFromSpec(parseSpec(rawLlSpec, 'test')));

export async function loadRawLl(): Promise<RawAddon> {
  const { addonPath } = await buildSpec(rawLlSpec);
  return loadRaw(addonPath);
}

/** What each rank's tokens choose: [rank][token][k], as the call takes it. */
export type Routing = readonly (readonly (readonly bigint[])[])[];

export const routing: Routing = [
  [
    [0n, 3n],
    [2n, -1n],
    [1n, 1n],
  ],
  [
    [0n, 2n],
    [3n, 0n],
  ],
];

/** One rank's memory for low-latency calls: whole numbers that stay exact in bf16 all the way. */
export class RawLlRank {
  static readonly handleBytes = layout.llHandle!.headerBytes + maxTokens * topk * 4;
  readonly rank: number;
  readonly numTokens: number;
  readonly handle: bigint;
  readonly expertStats: bigint;
  readonly waitStats: bigint;
  readonly #group: RawGroup;
  readonly #choices: readonly (readonly bigint[])[];
  readonly #x: bigint;
  readonly #topkIdx: bigint;
  readonly #topkWeights: bigint;
  readonly #out: bigint;
  readonly #y: bigint;

  private constructor(group: RawGroup, rank: number, choices: readonly (readonly bigint[])[]) {
    const block = (bytes: number) => group.alloc(rank, bytes);
    this.#group = group;
    this.rank = rank;
    this.#choices = choices;
    this.numTokens = choices.length;
    this.handle = block(RawLlRank.handleBytes);
    this.expertStats = block(localExperts * 4);
    this.waitStats = block(ranks * 8);
    this.#x = block(maxTokens * hidden * 2);
    this.#topkIdx = block(maxTokens * topk * 8);
    this.#topkWeights = block(maxTokens * topk * 4);
    this.#out = block(maxTokens * hidden * 2);
    this.#y = block(localExperts * rowsPerExpert * hidden * 2);
  }

  /** One for each rank of the group. */
  static open(group: RawGroup, choices: Routing): Promise<readonly RawLlRank[]> {
    return Promise.all(
      choices.map(async (tokens, rank) => {
        const opened = new RawLlRank(group, rank, tokens);
        await group.fill(rank, opened.expertStats, localExperts * 4, 0);
        await group.fill(rank, opened.waitStats, ranks * 8, 0);
        await group.write(rank, opened.#topkIdx, bytesOf(BigInt64Array.from(tokens.flat())));
        const weights = Float32Array.from(tokens.flat(), (_, i) => weightOf(i));
        await group.write(rank, opened.#topkWeights, bytesOf(weights));
        return opened;
      }),
    );
  }

  /** Writes the tokens of a call; `round` makes them other ones than those of the call before. */
  fill(round: number): Promise<void> {
    const rows = this.#choices.map((_, t) => row(tokenOf(this.rank, t, round)));
    return this.#group.write(this.rank, this.#x, bytesOf(bf16FromFloat32(concat(rows))));
  }

  dispatch(phases: RawLlPhases, options: object = {}): void {
    this.#group.llDispatch(this.rank, {
      phases,
      numTokens: this.numTokens,
      ...(phases === 'receive' ? {} : { x: this.#x, topkIdx: this.#topkIdx }),
      handle: this.handle,
      grid: phases === 'receive' ? 1 : 3,
      ...options,
    });
  }

  /** Resolves at once where it is a send alone. */
  async combine(phases: RawLlPhases, options: object = {}): Promise<void> {
    const call = {
      numTokens: this.numTokens,
      ...(phases === 'receive' ? {} : { inputOffset: outputOffset(0) }),
      ...(phases === 'send' ? {} : { topkWeights: this.#topkWeights, out: this.#out }),
      handle: this.handle,
      grid: phases === 'send' ? 1 : 3,
      ...options,
    };
    if (phases === 'send') this.#group.llCombine(this.rank, { ...call, phases });
    else await this.#group.llCombine(this.rank, { ...call, phases });
  }

  stage(options: object = {}): void {
    this.#group.llStage(this.rank, {
      handle: this.handle,
      x: this.#y,
      outputOffset: outputOffset(0),
      grid: 2,
      ...options,
    });
  }

  /** Writes what the experts make of `rows`, each times expert + 1: to be staged, or somewhere in the window. */
  writeOutputs(rows: readonly (readonly number[])[], at: bigint = this.#y): Promise<void> {
    const outputs = rows.flatMap((tokens, e) =>
      Array.from({ length: rowsPerExpert }, (_, i) =>
        row((tokens[i] ?? 99) * scaleOf(this.rank, e)),
      ),
    );
    return this.#group.write(this.rank, at, bytesOf(bf16FromFloat32(concat(outputs))));
  }

  /** What came for each local expert, in the buffer of the window's call number `call`, from 1. */
  async received(call: number): Promise<number[][]> {
    const region = layout.regions.find(({ name }) => name === 'll_recv_x')!;
    const offset = region.offset + ((call - 1) % region.numBuffers) * region.stride;
    const base = this.#group.windowBase(this.rank) + BigInt(offset);
    const x = new Uint16Array(await this.#group.read(this.rank, base, region.bytes));
    const counts = new Int32Array(await this.#read('num_tokens_per_expert', localExperts * 4));
    return [...counts].map((count, e) =>
      Array.from({ length: count }, (_, i) => {
        const start = (e * rowsPerExpert + i) * hidden;
        return numberOf(x.subarray(start, start + hidden));
      }),
    );
  }

  /** [local expert][source] as `first row+rows`. */
  async layoutRange(): Promise<string[][]> {
    const words = new BigInt64Array(await this.#read('layout_range', localExperts * ranks * 8));
    return Array.from({ length: localExperts }, (_, e) =>
      Array.from({ length: ranks }, (_, s) => {
        const word = words[e * ranks + s]!;
        return `${word >> 32n}+${word & 0xffffffffn}`;
      }),
    );
  }

  async combined(): Promise<number[]> {
    const bytes = await this.#group.read(this.rank, this.#out, this.numTokens * hidden * 2);
    const out = new Uint16Array(bytes);
    return Array.from({ length: this.numTokens }, (_, t) =>
      numberOf(out.subarray(t * hidden, (t + 1) * hidden)),
    );
  }

  /** What the weighted sums of the rank's tokens have to be. */
  wantedSums(round: number): number[] {
    return this.#choices.map((choices, t) => {
      const terms = choices.map((choice, k) => {
        const expert = Number(choice);
        if (expert < 0 || expert >= experts) return 0;
        const scale = scaleOf(Math.floor(expert / localExperts), expert % localExperts);
        return weightOf(t * topk + k) * tokenOf(this.rank, t, round) * scale;
      });
      return terms.reduce((sum, term) => sum + term, 0);
    });
  }

  #read(field: string, bytes: number): Promise<ArrayBuffer> {
    const { offset } = layout.llHandle!.fields.find(({ name }) => name === field)!;
    return this.#group.read(this.rank, this.handle + BigInt(offset), bytes);
  }
}

/** Where buffer `buffer` of expert outputs lies in the window. */
export function outputOffset(buffer: number): bigint {
  const region = layout.regions.find(({ name }) => name === 'll_output')!;
  return BigInt(region.offset + buffer * region.stride);
}

/** What comes at `rank` for each local expert: by source, then token, once however often it was chosen. */
export function wantedRows(choices: Routing, rank: number, round: number): number[][] {
  return Array.from({ length: localExperts }, (_, e) => {
    const expert = BigInt(rank * localExperts + e);
    return choices.flatMap((tokens, source) =>
      tokens.flatMap((chosen, t) => (chosen.includes(expert) ? [tokenOf(source, t, round)] : [])),
    );
  });
}

const tokenOf = (rank: number, token: number, round: number) =>
  rank * maxTokens + token + 1 + (round % 3) * 16;
const weightOf = (i: number) => 2 ** -(i % 3);
const scaleOf = (rank: number, localExpert: number) => rank * localExperts + localExpert + 1;
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);
const row = (value: number) => new Float32Array(hidden).fill(value);

function concat(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.length * hidden);
  rows.forEach((values, i) => {
    all.set(values, i * hidden);
  });
  return all;
}

/** The number that all elements of a row are; NaN where they differ. */
function numberOf(bits: Uint16Array): number {
  const values = float32FromBf16(bits);
  return values.every((value) => value === values[0]) ? values[0]! : Number.NaN;
}
