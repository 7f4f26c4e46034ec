import { beforeAll, expect, test } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { randomFrom } from '../support/random.js';
import { combinedFlaws, failureOf, ReplayInputs, receivedFlaws } from '../support/replays.js';

// Graphs on a group with several windows, between calls on other streams.

let built: Built;
beforeAll(async () => {
  built = await buildSpec({
    ...{ ranks: 2, hidden: 16, experts: 4, topk: 2 },
    ht: { maxTokensPerRank: 6, liveResults: 2 },
    channels: { memory: { count: 2 } },
  });
});

interface Options {
  readonly window?: number;
  readonly asyncFinish?: boolean;
}

function pair(group: Group, inputs: ReplayInputs, options: Options = {}) {
  const received = group.enqueueDispatch(inputs.calls.map((call) => ({ ...call, ...options })));
  const { asyncFinish = false } = options;
  const combined = group.enqueueCombine(
    received.map(({ x, handle }) => ({ x, handle, asyncFinish })),
  );
  return { received, combined };
}

test('a graph over two windows, replayed between calls on either', async () => {
  await using group = await built.open({ seed: 21, windows: 2 });
  const inputs = [0, 1].map(() => new ReplayInputs(group, built.spec, [6, 4]));
  await using graph = await group.capture(() =>
    inputs.map((of, window) => pair(group, of, { window })),
  );
  const random = randomFrom(21, 0, 0);
  const flaws: Promise<string[]>[] = [];
  for (let step = 0; step < 40; step++) {
    const want = inputs.map((of, window) => of.fill(2 * step + window).want);
    const choice = random(3);
    const outcomes =
      choice < 2
        ? [{ ...pair(group, inputs[choice]!, { window: choice }), window: choice }]
        : graph.replay().map((outcome, window) => ({ ...outcome, window }));
    for (const { received, combined, window } of outcomes) {
      const what = `step ${step} window ${window}`;
      const rows = want[window]!.map(({ x }) => x);
      flaws.push(receivedFlaws(built.spec, what, received, want[window]!));
      flaws.push(combinedFlaws(built.spec, what, combined, want[window]!, rows));
    }
  }
  expect((await Promise.all(flaws)).flat()).toEqual([]);
});

test('replays come after calls on the window’s own stream that use the same memory, and before later ones', async () => {
  await using group = await built.open({ seed: 22 });
  const raw = stateOf(group).callSync((raw) => raw);
  const inputs = new ReplayInputs(group, built.spec, [6, 4]);
  await using graph = await group.capture(() => pair(group, inputs));
  const random = randomFrom(22, 0, 0);
  const flaws: Promise<string[]>[] = [];
  const onItsOwn = () => pair(group, inputs, { asyncFinish: true });
  raw.hold();
  for (let step = 0; step < 40; step++) {
    const { want } = inputs.fill(step);
    const rows = want.map(({ x }) => x);
    for (const { index } of group.ranks) raw.delay(index, random(1e5), random(2));
    // Nothing is read before both are enqueued: a read would order the streams by itself.
    const calls = [onItsOwn, () => graph.replay()];
    const outcomes = (step % 3 === 0 ? calls.reverse() : calls).map((call) => call());
    for (const { received, combined } of outcomes) {
      flaws.push(receivedFlaws(built.spec, `step ${step}`, received, want));
      flaws.push(combinedFlaws(built.spec, `step ${step}`, combined, want, rows));
    }
  }
  raw.release();
  expect((await Promise.all(flaws)).flat()).toEqual([]);
});

test('calls on another stream can not be captured', async () => {
  await using group = await built.open({ seed: 23 });
  const inputs = new ReplayInputs(group, built.spec, [6, 4]);
  expect(
    (await failureOf(group.capture(() => pair(group, inputs, { asyncFinish: true })))).message,
  ).toMatch(/it called one with perRank\[0\]\.asyncFinish/);
  const stream = group.ranks[0]!.createStream();
  const event = stream.record();
  expect((await failureOf(group.capture(() => group.ranks[0]!.wait(event)))).message).toMatch(
    /orders streams/,
  );
  await using graph = await group.capture(() => pair(group, inputs));
  const { want } = inputs.fill(3);
  const rows = want.map(({ x }) => x);
  expect(await combinedFlaws(built.spec, '', graph.replay().combined, want, rows)).toEqual([]);
});
