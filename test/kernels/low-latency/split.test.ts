import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { drawInputs } from '../../support/draw.js';
import { expectExchange, windowBases } from '../../support/exchange.js';
import {
  callHooks,
  combineTokens,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  type Flight,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { lowLatencySpecs } from '../../support/low-latency-specs.js';

// Send and receive in calls of their own, with other work between them: the bits are those of one call.

describe('two ranks, hidden 64', () => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs['two ranks, hidden 64']);
  });
  afterEach(() => group?.dispose());

  function flightOf(seed: number, options: object): Flight {
    const { spec } = built;
    const inputs = drawTokens(spec, { seed, numTokens: [6, 1 + (seed % 6)], pattern: 'someNone' });
    const want = expectedRows(spec, inputs);
    const received = dispatchTokens(group, spec, inputs, options);
    return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
  }

  const hooks = { returnRecvHook: true };

  /** High-throughput calls, copies and tensors in order with what is between the halves. */
  async function otherWork(seed: number): Promise<void> {
    const { spec } = built;
    const numTokens = [16, seed];
    const inputs = drawInputs(spec, { seed, numTokens, pattern: 'distinct' });
    await expectExchange(built, group, windowBases(group), inputs, { keepsBuffers: true });
    const values = Uint16Array.from({ length: 64 }, (_, i) => seed * 100 + i);
    const copies = group.ranks.map((rank) => rank.tensor('bf16', [64], values).toArray());
    for (const copy of await Promise.all(copies)) expect(copy).toEqual(values);
  }

  test('each half comes with other work before it', async () => {
    group = await built.open({ seed: 61 });
    for (let round = 0; round < 5; round++) {
      const flight = flightOf(round, hooks);
      await otherWork(round);
      callHooks(flight.received);
      await otherWork(round + 1);
      expect(await receivedFlaws(built.spec, 'split', flight.received, flight.want)).toEqual([]);
      const combined = combineTokens(group, built.spec, flight, hooks);
      await otherWork(round + 2);
      callHooks(combined);
      expect(await sumsFlaws(built.spec, 'split', combined, flight)).toEqual([]);
    }
  });

  test('a combine and a dispatch are under way at once, and whole ones come between', async () => {
    group = await built.open({ seed: 62 });
    const { spec } = built;
    const flaws: Promise<string[]>[] = [];
    let before = flightOf(0, {});
    for (let round = 1; round < 20; round++) {
      const flight = flightOf(round, hooks);
      const combined = combineTokens(group, spec, before, hooks);
      if (round % 3 === 0) {
        const whole = flightOf(100 + round, {});
        flaws.push(receivedFlaws(spec, `whole ${round}`, whole.received, whole.want));
        const sums = combineTokens(group, spec, whole);
        flaws.push(sumsFlaws(spec, `whole ${round}`, sums, whole));
      }
      const [first, second] = round % 2 ? [flight.received, combined] : [combined, flight.received];
      callHooks(first);
      callHooks(second);
      flaws.push(receivedFlaws(spec, `round ${round}`, flight.received, flight.want));
      flaws.push(sumsFlaws(spec, `round ${round}`, combined, before));
      before = flight;
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('some ranks split their calls, others do not', async () => {
    group = await built.open({ seed: 63 });
    for (let round = 0; round < 6; round++) {
      const splits = (rank: number) => ({ returnRecvHook: rank === round % 2 });
      const flight = flightOf(round, splits);
      flight.received[round % 2]!.hook!();
      expect(await receivedFlaws(built.spec, 'some', flight.received, flight.want)).toEqual([]);
      const combined = combineTokens(group, built.spec, flight, splits);
      combined[round % 2]!.hook!();
      expect(await sumsFlaws(built.spec, 'some', combined, flight)).toEqual([]);
    }
  });

  test('no block of a send waits for a receive: all ranks have sent before any receives', async () => {
    group = await built.open({ seed: 64 });
    for (let round = 0; round < 6; round++) {
      const flight = flightOf(round, hooks);
      // Resolves although nobody has received: nothing is left running on the rank.
      await Promise.all(
        group.ranks.map((rank) => rank.tensor('u8', [4], new Uint8Array(4)).toArray()),
      );
      callHooks(flight.received);
      const combined = combineTokens(group, built.spec, flight, hooks);
      await Promise.all(
        group.ranks.map((rank) => rank.tensor('u8', [4], new Uint8Array(4)).toArray()),
      );
      callHooks(combined);
      expect(await sumsFlaws(built.spec, 'sent', combined, flight)).toEqual([]);
    }
  });
});
