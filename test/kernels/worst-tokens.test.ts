import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EpgenArgumentError, type Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import {
  dispatchByTopk,
  dispatchCall,
  expectCombine,
  expectExchange,
  expectedOutputs,
  windowBases,
} from '../support/exchange.js';

// Dispatch that waits for no counts, and counts that are rounded up.

let built: Built;
let group: Group;
beforeAll(async () => {
  built = await buildSpec({
    ranks: 3,
    hidden: 64,
    experts: 9,
    topk: 4,
    ht: { maxTokensPerRank: 40, worstTokens: true, cached: true },
    channels: { memory: { count: 4 } },
  });
});
beforeEach(async () => {
  group = await built.open({ seed: 37 });
});
afterEach(() => group.dispose());

const draw = (numTokens: readonly number[], seed = 1) =>
  drawInputs(built.spec, { seed, numTokens, pattern: 'someNone' });
const numTokens = [40, 0, 13] as const;
const most = 3 * 40;

/** The most rows that any rank gets of these inputs. */
function mostRows(inputs: ReturnType<typeof draw>): number {
  return Math.max(...expectedOutputs(built.spec, inputs).map((one) => one.numRecvTokens));
}

const withWorst = (inputs: ReturnType<typeof draw>, numWorstTokens: number) =>
  inputs.map((input) => ({ ...input, numWorstTokens }));

describe('numWorstTokens', () => {
  test.each([
    ['as many as the fullest rank gets', (rows: number) => rows],
    ['a few more', (rows: number) => rows + 5],
    ['as many as can come', () => most],
  ])('%s: exactly so many rows, -1 behind those that came', async (_, numOf) => {
    const inputs = draw(numTokens);
    const worst = withWorst(inputs, numOf(mostRows(inputs)));
    await expectExchange(built, group, windowBases(group), worst, { numCached: 1 });
    await expectExchange(built, group, windowBases(group), worst, { combineFrom: 'received' });
  });

  test('without any token: all rows are padding', async () => {
    await expectExchange(built, group, windowBases(group), withWorst(draw([0, 0, 0]), 7));
  });

  test('resolves before any other rank has called', async () => {
    const inputs = withWorst(draw(numTokens), most);
    const [first, ...others] = group.ranks;
    const received = await first!.dispatch(dispatchCall(first!, built.spec, inputs[0]!));
    expect(received.x.shape).toEqual([most, built.spec.hidden]);
    expect(received.handle.numRecvTokens).toBeUndefined();
    await Promise.all(
      others.map((rank, i) => rank.dispatch(dispatchCall(rank, built.spec, inputs[i + 1]!))),
    );
  });

  test('one too few: the next awaited operation of the rank names both numbers, once; the group goes on', async () => {
    const inputs = draw(numTokens);
    const rows = expectedOutputs(built.spec, inputs).map(({ numRecvTokens }) => numRecvTokens);
    const fullest = rows.indexOf(Math.max(...rows));
    const calls = withWorst(inputs, Math.max(...rows) - 1);
    const received = await group.dispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, calls[r]!)),
    );
    const failure = await received[fullest]!.srcIdx.toArray().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EpgenArgumentError);
    expect((failure as Error).message).toContain(
      `Expected at most ${rows[fullest]! - 1} rows (numWorstTokens) to arrive on rank ${fullest} but received ${rows[fullest]}`,
    );
    await received[fullest]!.srcIdx.toArray();
    await expectExchange(built, group, windowBases(group), inputs);
  });

  test('one too few: sums that lack rows are told as well, once', async () => {
    const inputs = draw(numTokens);
    const numWorst = mostRows(inputs) - 1;
    const calls = withWorst(inputs, numWorst);
    const received = await group.dispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, calls[r]!)),
    );
    const echo = received.map(({ x, handle }) => ({ x, handle }));
    const message = `Expected at most ${numWorst} rows (numWorstTokens) to arrive on rank`;
    await expect(group.combine(echo)).rejects.toThrow(message);
    const again = group.enqueueDispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, calls[r]!)),
    );
    const sums = group.enqueueCombine(again.map(({ x, handle }) => ({ x, handle })));
    const reads = await Promise.allSettled(sums.map(({ x }) => x.toArray()));
    const reasons = reads.flatMap((read) => (read.status === 'rejected' ? [read.reason] : []));
    expect(reasons.map(String).join()).toContain(message);
    await Promise.all(sums.map(({ x }) => x.toArray()));
    await expectExchange(built, group, windowBases(group), inputs);
  });

  test('enqueued: as many rows, and the counts on the device', async () => {
    const inputs = withWorst(draw(numTokens), most - 1);
    const received = group.enqueueDispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)),
    );
    const expected = expectedOutputs(built.spec, draw(numTokens));
    for (const [r, { x, topkIdx, numRecvTokens }] of received.entries()) {
      expect(x.shape[0]).toBe(most - 1);
      const count = expected[r]!.numRecvTokens;
      expect([...(await numRecvTokens.toArray())]).toEqual([count]);
      const padding = Array.from(await topkIdx.toArray(), Number).slice(count * built.spec.topk);
      expect(new Set(padding)).toEqual(new Set([-1]));
    }
  });

  test.each([-1, 1.5, most + 1, '7'])('%s is refused with the range', async (numWorstTokens) => {
    const calls = group.ranks.map((rank, r) => ({
      ...dispatchCall(rank, built.spec, draw(numTokens)[r]!),
      numWorstTokens: numWorstTokens as number,
    }));
    await expect(group.dispatch(calls)).rejects.toThrow(
      `Expected perRank[0].numWorstTokens to be an integer in 0..${most}`,
    );
  });
});

describe('expertAlignment', () => {
  test.each([1, 8, 128])('%i rounds counts up to it', async (expertAlignment) => {
    const inputs = draw(numTokens).map((input) => ({ ...input, expertAlignment }));
    await expectExchange(built, group, windowBases(group), inputs);
  });

  test('may differ between ranks', async () => {
    const inputs = draw(numTokens).map((input, r) => ({ ...input, expertAlignment: 1 + 15 * r }));
    const { received, expected } = await dispatchByTopk(built.spec, group, inputs);
    expect(received.map(({ numTokensPerExpert }) => numTokensPerExpert)).toEqual(
      expected.map(({ numTokensPerExpert }) => numTokensPerExpert),
    );
    await expectCombine(built.spec, group, received, expected);
  });

  test.each([0, 65537, 2.5])('%s is refused with the range', async (expertAlignment) => {
    const calls = group.ranks.map((rank, r) => ({
      ...dispatchCall(rank, built.spec, draw(numTokens)[r]!),
      expertAlignment,
    }));
    await expect(group.dispatch(calls)).rejects.toThrow(
      'Expected perRank[0].expertAlignment to be an integer in 1..65536',
    );
  });
});
