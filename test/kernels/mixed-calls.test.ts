import { describe, expect, test } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { AnyTensor, Group } from '../../native/index.js';
import {
  type Bits,
  cachedDispatchReference,
  combineReference,
  combineWeightsReference,
  type DispatchInput,
  dispatchLayoutReference,
  dispatchWithoutTopkReference,
  type Indices,
  type RoutedOutput,
} from '../../native/reference/index.js';
import type { HighThroughputSpec } from '../../native/spec-types.js';
import { buildSpec } from '../support/built.js';
import {
  bitsOf,
  difference,
  type GotReceived,
  type GotRows,
  receivedDifferences,
  rowDifferences,
} from '../support/compare.js';
import { drawInputs, drawRows, drawSummed } from '../support/draw.js';
import { dispatchCall, payloadTensors } from '../support/exchange.js';
import { mixedSpecs } from '../support/kernel-specs.js';
import { expectedOutputs, shapeOf } from '../support/model.js';
import { type Random, randomFrom } from '../support/random.js';
import { type RoutingPattern, unequalTokens } from '../support/routing.js';

// Calls with other options each time, none of which waits for anything.

const numWindows = 2;
const patterns = [
  'distinct',
  'duplicates',
  'someNone',
  'oneRank',
  'noneToSelf',
  'allNone',
] as const satisfies readonly RoutingPattern[];

type Inputs = readonly DispatchInput<Bits, Indices>[];

/** A dispatch that was enqueued: what it gave, and what the model says. */
interface Dispatched {
  readonly received: readonly (GotReceived & { readonly x: AnyTensor })[];
  readonly expected: readonly RoutedOutput[];
}

/** A call's options that all ranks share. */
interface Mode {
  readonly window: number;
  readonly asyncFinish: boolean;
}

/** The tensor as it is when the call ends, cut to its first rows. */
function readNow(tensor: AnyTensor, numRows = tensor.shape[0]!) {
  const [allRows, ...row] = tensor.shape;
  const array = tensor.toArray();
  array.catch(() => undefined); // whoever compares it sees the failure
  return {
    shape: [numRows, ...row],
    toArray: async () => {
      const all = await array;
      return all.subarray(0, (all.length / Math.max(1, allRows!)) * numRows);
    },
  };
}

/** Reads what arrived before a later call takes its place. */
function readRows({ x, xScales, extras }: Record<string, AnyTensor | undefined>, numRows: number) {
  return {
    x: readNow(x!, numRows),
    ...(xScales && { xScales: readNow(xScales) }), // columns, which are as long as the window's
    ...(extras && { extras: readNow(extras, numRows) }),
  };
}

function readReceived(got: Dispatched['received'][number], { numRows }: RoutedOutput): GotReceived {
  const tensors = got as unknown as Record<string, AnyTensor>;
  const isRouted = got.topkIdx !== null;
  return {
    ...got,
    ...readRows(tensors, numRows),
    topkIdx: isRouted ? readNow(tensors.topkIdx!, numRows) : null,
    topkWeights: isRouted ? readNow(tensors.topkWeights!, numRows) : null,
    srcIdx: readNow(tensors.srcIdx!, numRows),
  };
}

class Calls {
  readonly checks: Promise<(string | undefined)[]>[] = [];
  readonly #newest = new Map<number, Dispatched>();

  constructor(
    readonly spec: HighThroughputSpec,
    readonly group: Group,
    readonly random: Random,
  ) {}

  /** Dispatches in one of the ways that the spec has, and combines not at all, once or twice. */
  next(call: number): void {
    const { spec, random } = this;
    const mode = { window: random(numWindows), asyncFinish: random(4) > 0 };
    const kinds = ['topk', 'layout', 'handle', ...(spec.ht.worstTokens ? ['worst'] : [])];
    const kind = kinds[random(kinds.length)];
    const newest = this.#newest.get(mode.window);
    const dispatched =
      kind === 'handle' && newest !== undefined
        ? this.#again(call, newest, mode)
        : this.#route(call, kind === 'layout', kind === 'worst', mode);
    this.#newest.set(mode.window, dispatched);
    for (let left = random(4) - 1; left > 0; left--) this.#combine(call, dispatched, mode);
  }

  #route(call: number, withoutTopk: boolean, isWorst: boolean, mode: Mode): Dispatched {
    const { spec, group, random } = this;
    const numTokens = unequalTokens(spec.ranks, spec.ht.maxTokensPerRank, call);
    const pattern = patterns[call % patterns.length]!;
    const expertAlignment = 1 + random(9);
    const most = spec.ranks * spec.ht.maxTokensPerRank;
    const inputs: Inputs = drawInputs(spec, { seed: call, numTokens, pattern }).map((input) => ({
      ...input,
      expertAlignment,
      ...(isWorst ? { numWorstTokens: most } : {}),
    }));
    const layouts = inputs.map(({ topkIdx }) => dispatchLayoutReference(shapeOf(spec), topkIdx));
    const received = group.enqueueDispatch(
      group.ranks.map((rank, r) => {
        const { topkIdx, topkWeights, ...rest } = dispatchCall(rank, spec, inputs[r]!);
        const { isTokenInRank, numTokensPerExpert } = layouts[r]!;
        const layout = {
          isTokenInRank: rank.tensor('u8', [numTokens[r]!, spec.ranks], isTokenInRank),
          numTokensPerExpert: rank.tensor('i32', [spec.experts], numTokensPerExpert),
        };
        const routing = withoutTopk ? { layout } : { topkIdx, topkWeights };
        return { ...rest, ...routing, ...mode, numChannels: this.#numChannels() };
      }) as never,
    ) as unknown as Dispatched['received'];
    const expected: readonly RoutedOutput[] = withoutTopk
      ? dispatchWithoutTopkReference({
          ...shapeOf(spec),
          experts: spec.experts,
          perRank: inputs.map((input, r) => ({ ...input, ...layouts[r]! })),
        })
      : expectedOutputs(spec, inputs);
    for (const [r, want] of expected.entries()) {
      const got = readReceived(received[r]!, want);
      this.checks.push(named(call, receivedDifferences(spec, r, got, want)));
    }
    return { received, expected };
  }

  /** Sends new rows along the newest handles of the window. */
  #again(call: number, { received, expected }: Dispatched, { asyncFinish }: Mode): Dispatched {
    const { spec, group } = this;
    const perRank = expected.map(({ handle: { slot } }, r) => ({
      ...drawRows(spec, randomFrom(call, r, 0xca), slot.length / spec.ranks),
      numWorstTokens: received[r]!.x.shape[0]!,
      slot,
    }));
    const again = group.enqueueDispatch(
      group.ranks.map((rank, r) => ({
        ...payloadTensors(rank, spec, perRank[r]!),
        ...{ handle: received[r]!.handle, asyncFinish, numChannels: this.#numChannels() },
      })) as never,
    ) as unknown as readonly Record<string, AnyTensor>[];
    const wanted = cachedDispatchReference({ ...shapeOf(spec), perRank });
    for (const [r, want] of wanted.entries()) {
      const got: GotRows = readRows(again[r]!, want.numRows);
      this.checks.push(named(call, rowDifferences(spec, r, got, want)));
    }
    return { received, expected };
  }

  #combine(call: number, { received, expected }: Dispatched, { asyncFinish }: Mode): void {
    const { spec, group, random } = this;
    const { ranks, hidden, topk, combineDtype: dtype } = spec;
    const bringsWeights = random(2) === 0;
    const perRank = received.map(({ x }, r) => {
      const { slot } = expected[r]!.handle;
      const numElements = (slot.length / ranks) * hidden;
      const from = randomFrom(call, r, 0xe0, random(2 ** 16));
      return {
        slot,
        x: drawSummed(dtype, x.shape[0]! * hidden, from),
        topkWeights: drawSummed('f32', x.shape[0]! * topk, from),
        biases: Array.from({ length: random(spec.ht.biases + 1) }, () =>
          drawSummed(dtype, numElements, from),
        ),
      };
    });
    const combined = group.enqueueCombine(
      group.ranks.map((rank, r) => {
        const { handle } = received[r]!;
        const { x, topkWeights, biases } = perRank[r]!;
        const rows = (bits: Bits) =>
          rank.tensor(dtype, [bits.length / hidden, hidden], valuesOf(bits) as never);
        return {
          ...{ handle, asyncFinish, numChannels: this.#numChannels() },
          ...(random(2) === 0 ? { x: rows(x) } : { x: this.#inWindow(r, handle, x) }),
          ...(bringsWeights && {
            topkWeights: rank.tensor('f32', [x.length / hidden, topk], valuesOf(topkWeights)),
          }),
          ...(biases.length > 0 && { bias: biases.map(rows) }),
        };
      }) as never,
    ) as unknown as readonly { readonly x: AnyTensor; readonly topkWeights: AnyTensor | null }[];
    const sums = combineReference({ ranks, hidden, dtype, perRank });
    const weights = combineWeightsReference({ ranks, topk, perRank });
    for (const [r, got] of combined.entries()) {
      this.checks.push(
        named(call, differenceOf(`rank ${r} sums`, hidden, got.x, sums[r]!)),
        bringsWeights
          ? named(call, differenceOf(`rank ${r} weights`, topk, got.topkWeights!, weights[r]!))
          : Promise.resolve([got.topkWeights === null ? undefined : `rank ${r} weights: not null`]),
      );
    }
  }

  #inWindow(r: number, handle: unknown, bits: Bits): AnyTensor {
    const view = this.group.ranks[r]!.combineInput(handle as never);
    view.copyFrom(valuesOf(bits) as never).catch(() => undefined); // reading the sums tells too
    return view;
  }

  #numChannels(): number {
    return 1 + this.random(this.spec.channels.memory.count);
  }
}

function valuesOf<B extends Bits>(bits: B): B extends Uint32Array ? Float32Array : B {
  const values = bits instanceof Uint32Array ? new Float32Array(bits.buffer) : bits;
  return values as B extends Uint32Array ? Float32Array : B;
}

async function differenceOf(what: string, width: number, tensor: AnyTensor, want: Bits) {
  const array = await tensor.toArray();
  const got = array instanceof Float32Array ? bitsOf(array) : array;
  return [difference(what, width, got, want)];
}

async function named(call: number, found: Promise<(string | undefined)[]>) {
  return (await found).map((text) => text && `call ${call} ${text}`);
}

describe.each([
  ['six ranks, all options of compact rows', 150],
  ['seven ranks, all options of slotted rows', 60],
] as const)('%s', (name, numCalls) => {
  test(`${numCalls} calls of any kind with 0, 1 or 2 combines, enqueued without waiting in ${numWindows} windows, ranks late in turns`, async () => {
    const built = await buildSpec(mixedSpecs[name]);
    await using group = await built.open({ seed: 83, windows: numWindows, deadlineMs: 60_000 });
    const random = randomFrom(6, built.spec.ranks);
    const calls = new Calls(built.spec, group, random);
    for (let call = 0; call < numCalls; call++) {
      const late = random(built.spec.ranks);
      stateOf(group).callSync((raw) => raw.delay(late, random(2_000_000), random(1 + numWindows)));
      calls.next(call);
    }
    const differences = await Promise.all(calls.checks);
    expect(differences.flat().filter(Boolean)).toEqual([]);
  });
});
