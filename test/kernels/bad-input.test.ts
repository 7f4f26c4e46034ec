import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EpgenArgumentError, EpgenTimeoutError, type Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { dispatchCall, expectExchange, windowBases } from '../support/exchange.js';
import { dispatchInputs } from '../support/routing.js';

const shape = { ranks: 3, hidden: 64, experts: 9, topk: 2 };
let built: Built;
let group: Group;

beforeAll(async () => {
  built = await buildSpec({
    ...shape,
    ht: { maxTokensPerRank: 20 },
    channels: { memory: { count: 4 } },
  });
});
beforeEach(async () => {
  group = await built.open({ seed: 2, deadlineMs: 300 });
});
afterEach(() => group.dispose());

const inputs = (numTokens = 20) =>
  dispatchInputs({
    ...shape,
    seed: 6,
    numTokens: Array(shape.ranks).fill(numTokens),
    pattern: 'distinct',
  });
const calls = () => group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs()[r]!));

async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => expect.fail('expected a rejection'),
    (error: unknown) => error as Error,
  );
}

describe('an index outside the expert range', () => {
  test.each([9n, -2n, 1n << 40n])(
    '%s is rejected by rank, token, k and value; the group goes on',
    async (value) => {
      const bad = inputs();
      bad[1]!.topkIdx[17 * shape.topk + 1] = value;
      const [first, second, third] = await Promise.allSettled(
        group.ranks.map((rank, r) => rank.dispatch(dispatchCall(rank, built.spec, bad[r]!))),
      );
      expect(first?.status).toBe('fulfilled');
      expect(third?.status).toBe('fulfilled');
      expect(second?.status).toBe('rejected');
      const { reason } = second as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(EpgenArgumentError);
      expect(reason.message).toContain('rank 1');
      expect(reason.message).toContain(`topkIdx[17][1] is ${value}`);
      await expectExchange(built, group, windowBases(group), inputs());
    },
  );

  test('is reported by the layout query too', async () => {
    const topkIdx = group.ranks[0]!.tensor('i64', [1, shape.topk], [0, 100]);
    const failure = await failureOf(group.ranks[0]!.getDispatchLayout({ topkIdx }));
    expect(failure.message).toContain('topkIdx[0][1] is 100');
  });

  test('of an enqueued call is reported by the next read on its rank, once', async () => {
    const bad = inputs();
    bad[2]!.topkIdx[0] = 77n;
    const received = group.enqueueDispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, bad[r]!)),
    );
    const failure = await failureOf(received[2]!.srcIdx.toArray());
    expect(failure.message).toContain('topkIdx[0][0] is 77');
    await received[2]!.srcIdx.toArray();
  });
});

describe('ranks awaited one after the other', () => {
  test('time out; the error names the ranks that never called, and how to call', async () => {
    const [rank] = group.ranks;
    const failure = await failureOf(rank!.dispatch(calls()[0]!));
    expect(failure).toBeInstanceOf(EpgenTimeoutError);
    expect(failure.message).toContain('Ranks 1, 2 never called dispatch');
    expect(failure.message).toContain('group.dispatch([');
    expect(failure.message).toContain('Promise.all(');
  });

  test('leave the group aborted until it recovers, and then as good as new', async () => {
    await failureOf(group.ranks[2]!.dispatch(calls()[2]!));
    expect((await failureOf(group.dispatch(calls()))).code).toBe('EPGEN_ABORTED');
    await group.recover();
    await expectExchange(built, group, windowBases(group), inputs());
  });

  test('in combine too', async () => {
    const received = await group.dispatch(calls());
    const { x, handle } = received[0]!;
    const failure = await failureOf(group.ranks[0]!.combine({ x, handle }));
    expect(failure).toBeInstanceOf(EpgenTimeoutError);
    expect(failure.message).toContain('Ranks 1, 2 never called combine');
    expect(failure.message).toMatch(/rank 0 waited in combine for ready of rank [12]/);
  });
});

test('a slow rank under the deadline is no error', async () => {
  const others = [0, 1].map((r) => group.ranks[r]!.dispatch(calls()[r]!));
  await new Promise((resolve) => setTimeout(resolve, 120));
  await Promise.all([...others, group.ranks[2]!.dispatch(calls()[2]!)]);
});

test('a timer keeps firing while ranks wait', async () => {
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 10);
  await failureOf(group.ranks[0]!.dispatch(calls()[0]!));
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(10);
});

test('the layout query agrees with what dispatch does', async () => {
  const received = await group.dispatch(calls());
  const layouts = await group.getDispatchLayout(calls().map(({ topkIdx }) => ({ topkIdx })));
  const sent = await Promise.all(layouts.map(({ numTokensPerRank }) => numTokensPerRank.toArray()));
  const rows = group.ranks.map((_, r) => sent.reduce((sum, counts) => sum + counts[r]!, 0));
  expect(rows).toEqual(received.map(({ x }) => x.shape[0]));
});
