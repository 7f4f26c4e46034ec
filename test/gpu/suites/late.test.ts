import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EpgenTimeoutError, type Group } from '../../../native/index.js';
import type { Built } from '../../support/built.js';
import { dispatchCall, expectExchange, windowBases } from '../../support/exchange.js';
import { buildSpec } from '../harness/built.js';
import { note } from '../harness/tree.js';
import { failureOf, gpuSpec, inputsOf, rankCounts } from '../support/gpu-specs.js';
import { rawCalls } from '../support/raw-calls.js';

const deadlineMs = 100;

describe.each(rankCounts)('%i ranks', (numRanks) => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(gpuSpec(numRanks));
  });
  beforeEach(async () => {
    group = await built.open({ seed: 3, deadlineMs });
  });
  afterEach(() => group?.dispose());

  const inputs = (seed = 1) => inputsOf(built.spec, 'distinct', seed);
  /** All ranks' calls, made before the first of them starts to wait. */
  const dispatches = () => {
    const perRank = inputs();
    return group.ranks.map((rank, r) => dispatchCall(rank, built.spec, perRank[r]!));
  };
  const last = numRanks - 1;

  async function expectRecovery(): Promise<void> {
    await group.recover();
    for (let seed = 1; seed < 4; seed++) {
      await expectExchange(built, group, windowBases(group), inputs(seed), { seed });
    }
  }

  test.each(Array.from({ length: numRanks }, (_, r) => r))(
    'withholding rank %i from dispatch ends in a timeout that names it, and the group recovers',
    async (withheld) => {
      const calls = dispatches();
      const start = performance.now();
      const failures = await Promise.all(
        group.ranks
          .filter(({ index }) => index !== withheld)
          .map((rank) => failureOf(rank.dispatch(calls[rank.index]!))),
      );
      note('waited, ms', Math.round(performance.now() - start));
      const timeouts = failures.filter((failure) => failure instanceof EpgenTimeoutError);
      expect(timeouts.length).toBeGreaterThan(0);
      for (const { message } of timeouts) {
        expect(message).toMatch(new RegExp(`Ranks? ${withheld} never called dispatch`));
      }
      const others = failures.filter((failure) => !(failure instanceof EpgenTimeoutError));
      expect(others.map(({ code }) => code)).toEqual(others.map(() => 'EPGEN_ABORTED'));
      await expectRecovery();
    },
  );

  test('withholding the last rank from combine ends in a timeout that names it', async () => {
    const received = await group.dispatch(dispatches());
    const failures = await Promise.all(
      received
        .slice(0, last)
        .map(({ x, handle }, r) => failureOf(group.ranks[r]!.combine({ x, handle }))),
    );
    const timeout = failures.find((failure) => failure instanceof EpgenTimeoutError);
    expect(timeout?.message).toMatch(new RegExp(`Ranks? ${last} never called combine`));
    await expectRecovery();
  });

  test('a rank that calls after the deadline finds the group aborted', async () => {
    const calls = dispatches();
    const early = group.ranks.slice(0, last).map((rank, r) => failureOf(rank.dispatch(calls[r]!)));
    await new Promise((resolve) => setTimeout(resolve, 4 * deadlineMs));
    const late = await failureOf(group.ranks[last]!.dispatch(calls[last]!));
    expect(late.code).toBe('EPGEN_ABORTED');
    await Promise.all(early);
    await expectRecovery();
  });

  test('behind a rank that its stream holds back past the deadline, nobody succeeds', async () => {
    const { raw, prepare, inputOffset } = rawCalls(group, built.spec);
    const prepared = await prepare(inputs());
    const codeOf = (promise: Promise<unknown>) =>
      promise.then(
        () => 'success',
        (error: { code: string }) => error.code,
      );
    raw.delay(last, 5 * deadlineMs * 1e6);
    const codes = group.ranks.flatMap((_, r) => [
      codeOf(raw.dispatch(r, { ...prepared.dispatches[r]!, buffer: 0, grid: 4, wait: true })),
      codeOf(raw.combine(r, { ...prepared.combines[r]!, inputOffset: inputOffset(0), grid: 4 })),
    ]);
    const seen = await Promise.all(codes);
    expect(seen).toContain('EPGEN_TIMEOUT');
    expect(seen.filter((code) => !/^EPGEN_(?:TIMEOUT|ABORTED)$/.test(code))).toEqual([]);
    await expectRecovery();
  });

  test('another group works after one was given up and disposed', async () => {
    await failureOf(group.ranks[0]!.dispatch(dispatches()[0]!));
    await group.dispose();
    group = await built.open({ deadlineMs: 5000 });
    await expectExchange(built, group, windowBases(group), inputs());
  });
});
