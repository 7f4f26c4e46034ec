import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  callHooks,
  delayRank,
  LowLatencyTokenTensors,
  llOf,
  makeCalls,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import {
  combinedFlaws,
  receivedFlaws as highThroughputFlaws,
  ReplayInputs,
} from '../../support/replays.js';
import { unequalTokens } from '../../support/routing.js';

// Calls of both kinds on one window, with nothing to wait for or to clean in between.

const names = [
  'two ranks, hidden 64',
  'five ranks, top-6',
  'eight ranks, hidden 16, four in flight',
] as const satisfies readonly LowLatencySpecName[];

describe.each(names)('%s', (name) => {
  let built: Built;
  let group: Group;
  let high: ReplayInputs;
  let low: LowLatencyTokenTensors;
  let flaws: Promise<string[]>[];

  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
  });
  afterEach(() => group?.dispose());

  async function open(seed: number): Promise<void> {
    const { spec } = built;
    const { ranks, ht } = spec;
    group = await built.open({ seed, deadlineMs: 60_000 });
    high = new ReplayInputs(group, spec, unequalTokens(ranks, ht.maxTokensPerRank, seed));
    const numTokens = unequalTokens(ranks, llOf(spec).maxTokensPerRank, seed);
    low = new LowLatencyTokenTensors(group, spec, numTokens);
    flaws = [];
  }

  /** A dispatch, then a combine of the rows that came, as they are. */
  function callHigh(seed: number, between = () => {}): void {
    const { written, want } = high.fill(seed);
    const received = group.enqueueDispatch(high.calls);
    flaws.push(written.then(() => []));
    flaws.push(highThroughputFlaws(built.spec, `high ${seed}`, received, want));
    between();
    const combined = group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
    const rows = want.map(({ x }) => x as Uint16Array);
    flaws.push(combinedFlaws(built.spec, `high ${seed}`, combined, want, rows));
  }

  function callLow(seed: number): void {
    const { written, ...filled } = low.fill(seed);
    const received = low.dispatch();
    flaws.push(written.then(() => []));
    flaws.push(receivedFlaws(built.spec, `low ${seed}`, received, filled.want));
    flaws.push(sumsFlaws(built.spec, `low ${seed}`, low.combine(received), filled));
  }

  /** The same in halves, with `between` between those of both calls. */
  function callLowInHalves(seed: number, between: () => void): void {
    const { written, ...filled } = low.fill(seed);
    const received = low.dispatch({ returnRecvHook: true });
    between();
    callHooks(received);
    flaws.push(written.then(() => []));
    flaws.push(receivedFlaws(built.spec, `low ${seed}`, received, filled.want));
    const combined = low.combine(received, { returnRecvHook: true });
    between();
    callHooks(combined);
    flaws.push(sumsFlaws(built.spec, `low ${seed}`, combined, filled));
  }

  test('30 rounds of both kinds of calls in any order, without waiting or cleaning, ranks late in turns', async () => {
    await open(71);
    const random = randomFrom(71, built.spec.ranks);
    let numCalls = 0;
    const next = () => numCalls++;
    const rounds = [
      () => callHigh(next()),
      () => callLow(next()),
      () => callHigh(next(), () => callLow(next())),
      () => callLowInHalves(next(), () => callHigh(next())),
    ];
    makeCalls(group, 30, () => {
      delayRank(group, random(built.spec.ranks), random(300_000));
      rounds[random(rounds.length)]!();
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  // Of four in flight there would be too many variants.
  if (name !== 'eight ranks, hidden 16, four in flight') {
    test('a graph of both kinds, replayed with new routing between other calls', async () => {
      await open(73);
      await using graph = await group.capture(() => {
        const received = group.enqueueDispatch(high.calls);
        const combined = group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
        const lowReceived = low.dispatch();
        return { received, combined, lowReceived, lowCombined: low.combine(lowReceived) };
      });
      for (let replay = 0; replay < 12; replay++) {
        if (replay % 3 === 1) callHigh(100 + replay);
        if (replay % 4 === 2) callLow(200 + replay);
        const { written, want } = high.fill(replay);
        const lowFilled = low.fill(replay);
        const { received, combined, lowReceived, lowCombined } = graph.replay();
        const { spec } = built;
        const rows = want.map(({ x }) => x as Uint16Array);
        flaws.push(highThroughputFlaws(spec, `high ${replay}`, received, want));
        flaws.push(combinedFlaws(spec, `high ${replay}`, combined, want, rows));
        flaws.push(receivedFlaws(spec, `low ${replay}`, lowReceived, lowFilled.want));
        flaws.push(sumsFlaws(spec, `low ${replay}`, lowCombined, lowFilled));
        expect((await Promise.all(flaws)).flat()).toEqual([]);
        await Promise.all([written, lowFilled.written]);
      }
    });
  }

  test('a clean step between them changes nothing', async () => {
    await open(72);
    for (let round = 0; round < 4; round++) {
      callHigh(round);
      if (round % 2 === 1) await group.cleanLowLatencyBuffer();
      callLow(round);
      expect((await Promise.all(flaws)).flat()).toEqual([]);
    }
  });
});
