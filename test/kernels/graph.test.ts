import { beforeAll, describe, expect, test } from 'vitest';
import type { EnqueuedReceived, Graph, Group } from '../../native/index.js';
import type { DispatchOutput } from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import { type Built, buildSpec } from '../support/built.js';
import { launches } from '../support/exchange.js';
import { randomFrom } from '../support/random.js';
import { combinedFlaws, outputRows, ReplayInputs, receivedFlaws } from '../support/replays.js';

const maxTokens = 6;
const spec = (ranks: number, liveResults: number) => ({
  ...{ ranks, hidden: 16, experts: ranks * 2, topk: 2 },
  ht: { maxTokensPerRank: maxTokens, liveResults },
  channels: { memory: { count: 2 } },
});

type Received = readonly EnqueuedReceived<Spec>[];

/** What calls gave, one by one. */
type Outcome =
  | { readonly kind: 'received'; readonly received: Received }
  | { readonly kind: 'combined'; readonly combined: ReturnType<Group['enqueueCombine']> };

const echo = (received: Received) => received.map(({ x, handle }) => ({ x, handle }));

/** Dispatches and combines: a D sends the inputs, a C sums what the D before it received. */
function enqueue(inputs: ReplayInputs, program: string): Outcome[] {
  const outcomes: Outcome[] = [];
  let last: Received = [];
  for (const op of program) {
    if (op === 'D') {
      last = inputs.group.enqueueDispatch(inputs.calls);
      outcomes.push({ kind: 'received', received: last });
    } else {
      outcomes.push({ kind: 'combined', combined: inputs.group.enqueueCombine(echo(last)) });
    }
  }
  return outcomes;
}

/** Starts to read everything that is still live, before the next call is enqueued. */
async function flawsOf(
  { spec }: ReplayInputs,
  what: string,
  outcomes: readonly Outcome[],
  want: readonly DispatchOutput[],
): Promise<string[]> {
  const numDispatches = outcomes.filter(({ kind }) => kind === 'received').length;
  let dispatchIdx = 0;
  const flaws = outcomes.flatMap((outcome) => {
    if (outcome.kind === 'combined') {
      const rows = want.map(({ x }) => x);
      return [combinedFlaws(spec, what, outcome.combined, want, rows)];
    }
    dispatchIdx += 1;
    const isLive = numDispatches - dispatchIdx < spec.ht.liveResults;
    return isLive ? [receivedFlaws(spec, what, outcome.received, want)] : [];
  });
  return (await Promise.all(flaws)).flat();
}

describe.each([1, 2, 3])('liveResults %i', (liveResults) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(spec(2, liveResults));
  });

  test.each([
    ['one operation', 'D'],
    ['a pair', 'DC'],
    ['an odd number of operations', 'DCD'],
    ['two pairs', 'DCDC'],
    ['two dispatches, one combine', 'DDC'],
  ])(
    '%s in a graph, replayed between other calls with new routing each time',
    async (_, program) => {
      await using group = await built.open({ seed: liveResults });
      const inputs = new ReplayInputs(group, built.spec, [maxTokens, 3]);
      await using graph = await group.capture(() => enqueue(inputs, program));
      const random = randomFrom(liveResults, program.length, 5);
      const flaws: Promise<string[]>[] = [];
      const writes: Promise<unknown>[] = [];
      for (let step = 0; step < 60; step++) {
        const { written, want } = inputs.fill(step);
        writes.push(written);
        const choice = random(4);
        const eager = ['D', 'DC'][choice];
        const outcomes = eager === undefined ? graph.replay() : enqueue(inputs, eager);
        flaws.push(flawsOf(inputs, `step ${step}`, outcomes, want));
      }
      await Promise.all(writes);
      expect((await Promise.all(flaws)).flat()).toEqual([]);
      await graph.ended();
    },
  );

  test('replays and pairs called one by one, in every order of six', async () => {
    await using group = await built.open({ seed: 7 });
    const inputs = new ReplayInputs(group, built.spec, [4, 5]);
    await using graph = await group.capture(() => enqueue(inputs, 'DC'));
    const flaws: Promise<string[]>[] = [];
    for (let order = 0; order < 64; order++) {
      for (let step = 0; step < 6; step++) {
        const { want } = inputs.fill(order * 6 + step);
        const outcomes = (order >> step) & 1 ? graph.replay() : enqueue(inputs, 'DC');
        flaws.push(flawsOf(inputs, `order ${order} step ${step}`, outcomes, want));
      }
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});

describe('three ranks', () => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(spec(3, 2));
  });

  test('1000 replays of a pair, each with new routing', async () => {
    await using group = await built.open({ seed: 12 });
    const inputs = new ReplayInputs(group, built.spec, [maxTokens, 0, 4]);
    await using graph = await group.capture(() => enqueue(inputs, 'DC'));
    const before = launches(group)[0]!;
    const flaws: Promise<string[]>[] = [];
    for (let replay = 0; replay < 1000; replay++) {
      const { want } = inputs.fill(replay);
      flaws.push(flawsOf(inputs, `replay ${replay}`, graph.replay(), want));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
    const after = launches(group)[0]!;
    expect(after.dispatch - before.dispatch).toBe(1000);
    expect(after.combine - before.combine).toBe(1000);
  });

  test('a graph of a dispatch, one of a combine, and expert outputs written between them', async () => {
    await using group = await built.open({ seed: 13 });
    const inputs = new ReplayInputs(group, built.spec, [2, maxTokens, 3]);
    await using sending = await group.capture(() => group.enqueueDispatch(inputs.calls));
    const first = sending.replay();
    await using summing = await group.capture(() =>
      group.enqueueCombine(
        first.map(({ handle }, r) => ({ x: group.ranks[r]!.combineInput(handle), handle })),
      ),
    );
    const flaws: Promise<string[]>[] = [];
    for (let step = 0; step < 30; step++) {
      const { want } = inputs.fill(step);
      const received = sending.replay();
      const rows = outputRows(built.spec, step);
      const filled = received.map(({ handle }, r) =>
        group.ranks[r]!.combineInput(handle).copyFrom(rows[r]!),
      );
      const combined = summing.replay();
      flaws.push(combinedFlaws(built.spec, `step ${step}`, combined, want, rows));
      flaws.push(Promise.all(filled).then(() => []));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('a view that a graph gives of the next combine’s input', async () => {
    await using group = await built.open({ seed: 14 });
    const inputs = new ReplayInputs(group, built.spec, [2, maxTokens, 3]);
    await using sending = await group.capture(() =>
      group.enqueueDispatch(inputs.calls).map(({ handle }, r) => {
        return { x: group.ranks[r]!.combineInput(handle), handle };
      }),
    );
    const flaws: Promise<string[]>[] = [];
    for (let step = 0; step < 12; step++) {
      const { want } = inputs.fill(step);
      const calls = sending.replay();
      const rows = outputRows(built.spec, step);
      await Promise.all(calls.map(({ x }, r) => x.copyFrom(rows[r]!)));
      const combined = group.enqueueCombine(calls);
      flaws.push(combinedFlaws(built.spec, `step ${step}`, combined, want, rows));
      expect(() => calls[0]!.x.pointer).toThrow(/a combine was enqueued on rank 0 since/);
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('expert outputs from a tensor, which the graph copies', async () => {
    await using group = await built.open({ seed: 15 });
    const inputs = new ReplayInputs(group, built.spec, [2, maxTokens, 3]);
    const numRows = 3 * maxTokens;
    const outputs = group.ranks.map((rank) => rank.tensor('bf16', [numRows, 16]));
    await using graph: Graph<ReturnType<Group['enqueueCombine']>> = await group.capture(() =>
      group.enqueueCombine(
        group.enqueueDispatch(inputs.calls).map(({ handle }, r) => ({ x: outputs[r]!, handle })),
      ),
    );
    const flaws: Promise<string[]>[] = [];
    for (let step = 0; step < 30; step++) {
      const { want } = inputs.fill(step);
      const rows = outputRows(built.spec, step);
      const filled = outputs.map((output, r) => output.copyFrom(rows[r]!));
      flaws.push(combinedFlaws(built.spec, `step ${step}`, graph.replay(), want, rows));
      flaws.push(Promise.all(filled).then(() => []));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});
