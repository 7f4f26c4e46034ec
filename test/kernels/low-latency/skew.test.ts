import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  callHooks,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  type Flight,
  llOf,
  outputTensor,
  receivedFlaws,
  sumsFlaws,
  together,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

// Ranks far apart, in virtual time: late before a call, between its halves, and where results are read.

const names = [
  'two ranks, hidden 64',
  'three ranks, one block of scales, fp8 both ways',
  'seven ranks, one channel',
  'eight ranks, hidden 16, four in flight',
] as const satisfies readonly LowLatencySpecName[];

const far = 5_000_000; // virtual ns; a call takes some thousands

describe.each(names)('%s', (name) => {
  let built: Built;
  let group: Group;
  let flaws: Promise<string[]>[];
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
  });
  afterEach(() => group?.dispose());

  /** Nothing of what `enqueue` calls runs before all of it is there; every bit is as the model says. */
  async function expectRight(seed: number, enqueue: () => void): Promise<void> {
    group = await built.open({ seed, deadlineMs: 60_000 });
    flaws = [];
    together(group, enqueue);
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  }

  function send(seed: number, hooks = false): Flight {
    const { spec } = built;
    const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, seed);
    const inputs = drawTokens(spec, { seed, numTokens, pattern: 'someNone' });
    const want = expectedRows(spec, inputs);
    const received = dispatchTokens(group, spec, inputs, { returnRecvHook: hooks });
    return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
  }

  function check(what: string, { received, want }: Flight): void {
    flaws.push(receivedFlaws(built.spec, what, received, want));
  }

  function combine(what: string, flight: Flight, hooks = false) {
    const combined = combineTokens(group, built.spec, flight, { returnRecvHook: hooks });
    const read = () => flaws.push(sumsFlaws(built.spec, what, combined, flight));
    return { combined, read };
  }

  test('each rank in turn is far behind, while the others go as far as they can', async () => {
    await expectRight(1, () => {
      for (let late = 0; late < built.spec.ranks; late++) {
        delayRank(group, late, far);
        for (let call = 0; call < 3; call++) {
          const flight = send(10 * late + call);
          check(`rank ${late} late, call ${call}`, flight);
          combine(`rank ${late} late, call ${call}`, flight).read();
        }
      }
    });
  });

  test('dispatches alone: a source runs ahead of receivers that stand still', async () => {
    await expectRight(2, () => {
      const { ranks } = built.spec;
      for (let call = 0; call < 6 * ranks; call++) {
        for (let rank = 0; rank < ranks; rank++) {
          if (rank !== call % ranks) delayRank(group, rank, far / 100);
        }
        check(`call ${call}`, send(call));
      }
    });
  });

  test('combines alone: ranks without tokens run ahead of those that still pull from them', async () => {
    await expectRight(8, () => {
      const { spec } = built;
      const { ranks } = spec;
      for (let puller = 0; puller < ranks; puller++) {
        const numTokens = group.ranks.map((_, r) =>
          r === puller ? llOf(spec).maxTokensPerRank : 0,
        );
        const inputs = drawTokens(spec, { seed: puller, numTokens, pattern: 'distinct' });
        const want = expectedRows(spec, inputs);
        const received = dispatchTokens(group, spec, inputs);
        for (let call = 0; call < 12; call++) {
          if (call % 3 === 0) delayRank(group, puller, far / 10);
          const outputs = drawOutputs(spec, want, 100 * puller + call);
          const flight = { inputs, want, received, outputs };
          combine(`rank ${puller} pulls, call ${call}`, flight).read();
        }
      }
    });
  });

  test('combine is called while others still dispatch', async () => {
    await expectRight(3, () => {
      for (let late = 0; late < built.spec.ranks; late++) {
        delayRank(group, late, far);
        const flight = send(late);
        for (let rank = 0; rank < built.spec.ranks; rank++) {
          if (rank !== late) delayRank(group, rank, far / 50);
        }
        combine(`rank ${late} dispatches late`, flight).read();
      }
    });
  });

  test('a rank is late between the halves of a call', async () => {
    await expectRight(4, () => {
      for (let late = 0; late < built.spec.ranks; late++) {
        const flight = send(late, true);
        delayRank(group, late, far);
        callHooks(flight.received);
        check(`rank ${late}`, flight);
        const { combined, read } = combine(`rank ${late}`, flight, true);
        delayRank(group, late, far);
        callHooks(combined);
        read();
        // Whoever is early writes on: what the late rank received and gave must outlive that.
        const next = send(100 + late);
        check(`after rank ${late}`, next);
        combine(`after rank ${late}`, next).read();
      }
    });
  });

  test('results are read late, while peers send as much as their results live', async () => {
    await expectRight(5, () => {
      const { spec } = built;
      const { inFlight } = llOf(spec);
      for (let round = 0; round < 6; round++) {
        const live = Array.from({ length: inFlight }, (_, i) => send(round * inFlight + i));
        delayRank(group, round % spec.ranks, far);
        for (const [i, flight] of live.entries()) check(`round ${round} result ${i}`, flight);
      }
    });
  });

  test('outputs of the next combine are written in the window while a late rank still pulls those before', async () => {
    await expectRight(7, () => {
      const { spec } = built;
      for (let call = 0; call < 20; call++) {
        const flight = send(call);
        const views = group.ranks.map((rank, r) => {
          if (llOf(spec).combineDtype !== 'bf16')
            return outputTensor(rank, spec, flight.outputs[r]!);
          const view = rank.getNextLowLatencyCombineBuffer(flight.received[r]!.handle);
          flaws.push(view.copyFrom(flight.outputs[r]!).then(() => []));
          return view;
        });
        delayRank(group, call % spec.ranks, far / 10);
        const combined = combineTokens(group, spec, flight, (r) => ({ x: views[r] }));
        flaws.push(sumsFlaws(spec, `call ${call}`, combined, flight));
      }
    });
  });

  test('ranks late at random before each half', async () => {
    await expectRight(6, () => {
      const random = randomFrom(7, built.spec.ranks);
      const late = () => {
        if (random(2) === 0) delayRank(group, random(built.spec.ranks), random(far / 5));
      };
      for (let call = 0; call < 40; call++) {
        late();
        const flight = send(call, true);
        late();
        callHooks(flight.received);
        check(`call ${call}`, flight);
        late();
        const { combined, read } = combine(`call ${call}`, flight, true);
        late();
        callHooks(combined);
        read();
      }
    });
  });
});

test('a slow but healthy peer under the deadline passes', async () => {
  const built = await buildSpec(lowLatencySpecs['two ranks, hidden 64']);
  await using group = await built.open({ seed: 9, deadlineMs: 200, firstDeadlineMs: 200 });
  const { spec } = built;
  for (let round = 0; round < 4; round++) {
    const inputs = drawTokens(spec, { seed: round, numTokens: [6, 3], pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const flaws = together(group, () => {
      delayRank(group, round % 2, 150_000_000);
      const received = dispatchTokens(group, spec, inputs);
      const arrived = receivedFlaws(spec, `round ${round}`, received, want);
      delayRank(group, (round + 1) % 2, 150_000_000);
      const flight = { inputs, want, received, outputs: drawOutputs(spec, want, round) };
      const combined = combineTokens(group, spec, flight);
      return [arrived, sumsFlaws(spec, `round ${round}`, combined, flight)];
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  }
});
