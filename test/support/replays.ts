import type { EnqueuedReceived, Group } from '../../native/index.js';
import {
  combineReference,
  type DispatchInput,
  type DispatchOutput,
} from '../../native/reference/index.js';
import type { HighThroughputSpec, Spec } from '../../native/spec-types.js';
import { bitsOf, difference, dispatchCall, expectedOutputs } from './exchange.js';
import { randomFrom } from './random.js';
import { dispatchInputs, type RoutingPattern } from './routing.js';

const patterns: readonly RoutingPattern[] = [
  'distinct',
  'duplicates',
  'someNone',
  'oneRank',
  'noneToSelf',
  'allNone',
];

/** Tensors that a graph's calls name, and what the model says of their newest contents. */
export class ReplayInputs {
  readonly group: Group;
  readonly spec: HighThroughputSpec;
  readonly calls: readonly ReturnType<typeof dispatchCall>[];
  readonly #numTokens: readonly number[];
  #newest: readonly DispatchInput[] = [];

  constructor(group: Group, spec: HighThroughputSpec, numTokens: readonly number[]) {
    this.group = group;
    this.spec = spec;
    this.#numTokens = numTokens;
    this.calls = group.ranks.map((rank, r) => dispatchCall(rank, spec, this.#inputs(0)[r]!));
  }

  /** New routing, rows and weights, in order with the ranks' other work; gives what a dispatch of them is to deliver. */
  fill(seed: number): { readonly written: Promise<unknown>; readonly want: DispatchOutput[] } {
    this.#newest = this.#inputs(seed);
    const written = this.calls.flatMap(({ x, topkIdx, topkWeights }, r) => {
      const input = this.#newest[r]!;
      const weights = new Float32Array(input.topkWeights.buffer);
      return [x.copyFrom(input.x), topkIdx.copyFrom(input.topkIdx), topkWeights.copyFrom(weights)];
    });
    return { written: Promise.all(written), want: expectedOutputs(this.spec, this.#newest) };
  }

  #inputs(seed: number): DispatchInput[] {
    const { ranks, experts, topk, hidden } = this.spec;
    return dispatchInputs({
      ...{ ranks, experts, topk, hidden, seed, numTokens: this.#numTokens },
      pattern: patterns[seed % patterns.length]!,
    });
  }
}

/** Reads what an enqueued dispatch delivered, in order with the ranks' other work. */
export async function receivedFlaws(
  spec: Spec,
  what: string,
  received: readonly EnqueuedReceived<Spec>[],
  want: readonly DispatchOutput[],
): Promise<string[]> {
  const flaws = received.map(async (got, r) => {
    const at = (field: string) => `${what}, rank ${r} ${field}`;
    const [count, perExpert, x, topkIdx, weights, srcIdx, slot] = await Promise.all([
      got.numRecvTokens.toArray(),
      got.numTokensPerExpert.toArray(),
      got.x.toArray(),
      got.topkIdx.toArray(),
      got.topkWeights.toArray(),
      got.srcIdx.toArray(),
      got.handle.slot(),
    ]);
    const { numRecvTokens: n, handle, ...rows } = want[r]!;
    const { topk, hidden, ranks } = spec;
    return [
      difference(at('numRecvTokens'), 1, count, [n]),
      difference(at('numTokensPerExpert'), 1, perExpert, rows.numTokensPerExpert),
      difference(at('x'), hidden, x.subarray(0, n * hidden), rows.x),
      difference(at('topkIdx'), topk, topkIdx.subarray(0, n * topk), rows.topkIdx),
      difference(at('topkWeights'), topk, bitsOf(weights).subarray(0, n * topk), rows.topkWeights),
      difference(at('srcIdx'), 1, srcIdx.subarray(0, n), rows.srcIdx),
      difference(at('slot'), ranks, slot, handle.slot),
    ];
  });
  return (await Promise.all(flaws)).flat().filter((text) => text !== undefined);
}

/** Reads the sums of a combine of `outputs`, one tensor's bits per rank. */
export async function combinedFlaws(
  spec: Spec,
  what: string,
  combined: readonly { readonly x: { toArray(): Promise<ArrayLike<number>> } }[],
  want: readonly DispatchOutput[],
  outputs: readonly Uint16Array[],
): Promise<string[]> {
  const sums = combineReference({
    ranks: spec.ranks,
    hidden: spec.hidden,
    perRank: want.map(({ handle }, r) => ({ x: outputs[r]!, slot: handle.slot })),
  });
  const flaws = combined.map(async ({ x }, r) =>
    difference(`${what}, rank ${r} combined`, spec.hidden, await x.toArray(), sums[r]!),
  );
  return (await Promise.all(flaws)).filter((text) => text !== undefined);
}

/** Random expert outputs for as many rows as can arrive. */
export function outputRows(spec: HighThroughputSpec, seed: number): Uint16Array[] {
  const numRows = spec.ranks * spec.ht.maxTokensPerRank;
  return Array.from({ length: spec.ranks }, (_, r) => {
    const random = randomFrom(seed, r, 0xe1);
    return Uint16Array.from({ length: numRows * spec.hidden }, () => random(0x10000));
  });
}

/** What a promise rejects with. */
export async function failureOf(pending: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await pending;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}
