import { describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { combineReference, type DispatchOutput } from '../../../native/reference/index.js';
import type { HighThroughputSpec } from '../../../native/spec-types.js';
import { buildSpec } from '../../support/built.js';
import { difference, dispatchCall, expectedOutputs } from '../../support/exchange.js';
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
  makeCalls,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import { receivedFlaws as highThroughputFlaws } from '../../support/replays.js';
import { dispatchInputs, unequalTokens } from '../../support/routing.js';

// High-throughput and low-latency calls on one window, in any order, with nothing to clean between them.

/** The bf16 of the spec's high-throughput calls. */
class HighThroughput {
  readonly #group: Group;
  readonly #spec: HighThroughputSpec;

  constructor(group: Group, spec: HighThroughputSpec) {
    this.#group = group;
    this.#spec = spec;
  }

  dispatch(seed: number) {
    const { ranks, experts, topk, hidden, ht } = this.#spec;
    const numTokens = unequalTokens(ranks, ht.maxTokensPerRank, seed);
    const inputs = dispatchInputs({
      ...{ ranks, experts, topk, hidden, seed, numTokens },
      pattern: 'distinct',
    });
    const want = expectedOutputs(this.#spec, inputs);
    const calls = this.#group.ranks.map((rank, r) => dispatchCall(rank, this.#spec, inputs[r]!));
    return { want, received: this.#group.enqueueDispatch(calls) };
  }

  /** Sums the rows that came, as they are. */
  async combine(
    what: string,
    received: ReturnType<HighThroughput['dispatch']>['received'],
    want: readonly DispatchOutput[],
  ): Promise<string[]> {
    const { ranks, hidden } = this.#spec;
    const combined = this.#group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
    const read = combined.map(({ x }) => x.toArray());
    const perRank = want.map(({ x, handle }) => ({ x, slot: handle.slot }));
    const sums = combineReference({ ranks, hidden, perRank });
    const flaws = read.map(async (got, r) =>
      difference(`${what} ${r}`, hidden, await got, sums[r]!),
    );
    return (await Promise.all(flaws)).filter((flaw) => flaw !== undefined);
  }
}

describe.each([
  ['two ranks, hidden 64', 120],
  ['five ranks, top-6', 60],
  ['eight ranks, hidden 16, four in flight', 40],
] as const satisfies readonly (readonly [LowLatencySpecName, number])[])('%s', (name, numCalls) => {
  test(`${numCalls} calls, high-throughput and low-latency in any order, without waiting or cleaning`, async () => {
    const built = await buildSpec(lowLatencySpecs[name]);
    const { spec } = built;
    await using group = await built.open({ seed: 71, deadlineMs: 60_000 });
    const random = randomFrom(71, spec.ranks);
    const high = new HighThroughput(group, spec);
    const flaws: Promise<string[]>[] = [];
    /** Sent, and its receive still to come. */
    let pending: Flight | undefined;
    makeCalls(group, numCalls, (call) => {
      delayRank(group, random(spec.ranks), random(300_000));
      if (random(2) === 0) {
        const { want, received } = high.dispatch(call);
        flaws.push(highThroughputFlaws(spec, `call ${call} high`, received, want));
        if (random(2) === 0) flaws.push(high.combine(`call ${call} high sums`, received, want));
        return;
      }
      if (pending !== undefined) {
        callHooks(pending.received);
        const { received, want } = pending;
        flaws.push(receivedFlaws(spec, `call ${call} pending`, received, want));
        const combined = combineTokens(group, spec, pending);
        flaws.push(sumsFlaws(spec, `call ${call} pending`, combined, pending));
        pending = undefined;
      }
      const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, call);
      const inputs = drawTokens(spec, { seed: call, numTokens, pattern: 'someNone' });
      const want = expectedRows(spec, inputs);
      const returnRecvHook = random(2) === 0;
      const received = dispatchTokens(group, spec, inputs, { returnRecvHook });
      const flight = { inputs, want, received, outputs: drawOutputs(spec, want, call) };
      if (returnRecvHook) {
        pending = flight;
        return;
      }
      flaws.push(receivedFlaws(spec, `call ${call}`, received, want));
      const combined = combineTokens(group, spec, flight);
      flaws.push(sumsFlaws(spec, `call ${call}`, combined, flight));
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});

test('a clean step between them changes nothing', async () => {
  const built = await buildSpec(lowLatencySpecs['two ranks, hidden 64']);
  const { spec } = built;
  await using group = await built.open({ seed: 72 });
  const high = new HighThroughput(group, spec);
  for (let round = 0; round < 4; round++) {
    const { want, received } = high.dispatch(round);
    expect(await high.combine(`round ${round}`, received, want)).toEqual([]);
    if (round % 2 === 1) await group.cleanLowLatencyBuffer();
    const inputs = drawTokens(spec, { seed: round, numTokens: [6, 2], pattern: 'distinct' });
    const rows = expectedRows(spec, inputs);
    const got = dispatchTokens(group, spec, inputs);
    const flight = { inputs, want: rows, received: got, outputs: drawOutputs(spec, rows, round) };
    expect(await receivedFlaws(spec, `round ${round}`, got, rows)).toEqual([]);
    const combined = combineTokens(group, spec, flight);
    expect(await sumsFlaws(spec, `round ${round}`, combined, flight)).toEqual([]);
  }
});
