import { beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { launches } from '../../support/exchange.js';
import {
  callHooks,
  type Flight,
  LowLatencyTokenTensors,
  llOf,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';

type Received = ReturnType<LowLatencyTokenTensors['dispatch']>;
type Sums = ReturnType<LowLatencyTokenTensors['combine']>;

/** What calls gave, one by one. */
type Outcome =
  | { readonly kind: 'received'; readonly received: Received }
  | { readonly kind: 'combined'; readonly combined: Sums };

/** D dispatches and C combines what the D before it received; d and c do it with hooks. */
function enqueue(tensors: LowLatencyTokenTensors, program: string): Outcome[] {
  const outcomes: Outcome[] = [];
  let last: Received = [];
  for (const op of program) {
    const hooks = op === op.toLowerCase();
    const options = { returnRecvHook: hooks };
    if (op.toUpperCase() === 'D') {
      last = tensors.dispatch(options);
      if (hooks) callHooks(last);
      outcomes.push({ kind: 'received', received: last });
    } else {
      const combined = tensors.combine(last, options);
      if (hooks) callHooks(combined);
      outcomes.push({ kind: 'combined', combined });
    }
  }
  return outcomes;
}

/** Starts to read everything that is still live, before the next call is enqueued. */
async function flawsOf(
  { spec }: LowLatencyTokenTensors,
  what: string,
  outcomes: readonly Outcome[],
  filled: Omit<Flight, 'received'>,
): Promise<string[]> {
  const numDispatches = outcomes.filter(({ kind }) => kind === 'received').length;
  let dispatchIdx = 0;
  const flaws = outcomes.flatMap((outcome) => {
    if (outcome.kind === 'combined') return [sumsFlaws(spec, what, outcome.combined, filled)];
    dispatchIdx += 1;
    const isLive = numDispatches - dispatchIdx < llOf(spec).inFlight;
    return isLive ? [receivedFlaws(spec, what, outcome.received, filled.want)] : [];
  });
  return (await Promise.all(flaws)).flat();
}

describe.each([
  ['three ranks, one block of scales, fp8 both ways', [7, 0, 4]],
  ['two ranks, hidden 64', [6, 3]],
] as const satisfies readonly (readonly [LowLatencySpecName, readonly number[]])[])(
  '%s',
  (name, numTokens) => {
    let built: Built;
    beforeAll(async () => {
      built = await buildSpec(lowLatencySpecs[name]);
    });

    const open = (seed: number) => built.open({ seed });
    const tensorsOf = (group: Group) => new LowLatencyTokenTensors(group, built.spec, numTokens);

    test.each([
      ['one operation', 'D'],
      ['one operation with a hook', 'd'],
      ['a pair', 'DC'],
      ['a pair with hooks', 'dc'],
      ['an odd number of operations', 'DCd'],
      ['two pairs', 'DCdc'],
      ['two dispatches, one combine', 'DDC'],
    ])(
      '%s in a graph, replayed between other calls with new routing each time',
      async (_, program) => {
        await using group = await open(program.length);
        const tensors = tensorsOf(group);
        await using graph = await group.capture(() => enqueue(tensors, program));
        const random = randomFrom(program.length, 5);
        const flaws: Promise<string[]>[] = [];
        const writes: Promise<unknown>[] = [];
        for (let step = 0; step < 40; step++) {
          const { written, ...filled } = tensors.fill(step);
          writes.push(written);
          const eager = ['D', 'dC'][random(4)];
          const outcomes = eager === undefined ? graph.replay() : enqueue(tensors, eager);
          flaws.push(flawsOf(tensors, `step ${step}`, outcomes, filled));
        }
        await Promise.all(writes);
        expect((await Promise.all(flaws)).flat()).toEqual([]);
        await graph.ended();
      },
    );
  },
);

describe('two ranks, hidden 64', () => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs['two ranks, hidden 64']);
  });

  test('400 replays of a pair, each with new routing: one launch of each kernel per replay', async () => {
    await using group = await built.open({ seed: 12 });
    const tensors = new LowLatencyTokenTensors(group, built.spec, [6, 4]);
    await using graph = await group.capture(() => enqueue(tensors, 'DC'));
    const before = launches(group)[0]!;
    const flaws: Promise<string[]>[] = [];
    for (let replay = 0; replay < 400; replay++) {
      const { written, ...filled } = tensors.fill(replay);
      flaws.push(written.then(() => []));
      flaws.push(flawsOf(tensors, `replay ${replay}`, graph.replay(), filled));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
    const after = launches(group)[0]!;
    expect(after.llDispatch - before.llDispatch).toBe(400);
    expect(after.llCombine - before.llCombine).toBe(400);
  });

  test('replays and pairs called one by one, in every order of five', async () => {
    await using group = await built.open({ seed: 7 });
    const tensors = new LowLatencyTokenTensors(group, built.spec, [4, 5]);
    await using graph = await group.capture(() => enqueue(tensors, 'DC'));
    const flaws: Promise<string[]>[] = [];
    for (let order = 0; order < 32; order++) {
      for (let step = 0; step < 5; step++) {
        const { written, ...filled } = tensors.fill(order * 5 + step);
        flaws.push(written.then(() => []));
        const isReplay = (order >> step) & 1;
        const outcomes = isReplay ? graph.replay() : enqueue(tensors, 'DC');
        flaws.push(flawsOf(tensors, `order ${order} step ${step}`, outcomes, filled));
      }
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('a graph of a dispatch, one of a combine, and expert outputs written to the window between them', async () => {
    await using group = await built.open({ seed: 13 });
    const tensors = new LowLatencyTokenTensors(group, built.spec, [2, 6]);
    await using sending = await group.capture(() => tensors.dispatch());
    const first = sending.replay();
    const views = () =>
      first.map(({ handle }, r) => group.ranks[r]!.getNextLowLatencyCombineBuffer(handle));
    await using summing = await group.capture(() => {
      const xs = views();
      return tensors.combine(first, (r) => ({ x: xs[r] }));
    });
    const flaws: Promise<string[]>[] = [];
    for (let step = 0; step < 24; step++) {
      const { written, ...filled } = tensors.fill(step);
      flaws.push(written.then(() => []));
      const received = sending.replay();
      flaws.push(receivedFlaws(built.spec, `step ${step}`, received, filled.want));
      const copied = views().map((view, r) => view.copyFrom(filled.outputs[r]!));
      flaws.push(Promise.all(copied).then(() => []));
      flaws.push(sumsFlaws(built.spec, `step ${step}`, summing.replay(), filled));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('sends and receives in graphs of their own calls, whole ones between the replays', async () => {
    await using group = await built.open({ seed: 14 });
    const tensors = new LowLatencyTokenTensors(group, built.spec, [6, 1]);
    await using graph = await group.capture(() => {
      const received = tensors.dispatch({ returnRecvHook: true });
      callHooks(received);
      const combined = tensors.combine(received, { returnRecvHook: true });
      callHooks(combined);
      return { received, combined };
    });
    const flaws: Promise<string[]>[] = [];
    for (let step = 0; step < 30; step++) {
      const { written, ...filled } = tensors.fill(step);
      flaws.push(written.then(() => []));
      const { received, combined } = graph.replay();
      flaws.push(receivedFlaws(built.spec, `step ${step}`, received, filled.want));
      flaws.push(sumsFlaws(built.spec, `step ${step}`, combined, filled));
      if (step % 4 === 3) {
        const outcomes = enqueue(tensors, 'D');
        flaws.push(flawsOf(tensors, `step ${step} eager`, outcomes, filled));
      }
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});
