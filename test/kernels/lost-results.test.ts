import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EpgenStaleError, type Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { dispatchCall } from '../support/exchange.js';
import { dispatchInputs } from '../support/routing.js';

// What a call that was given up should have written must not be read as a result once the group has recovered: the memory
// still holds what somebody else left there.

const shape = { ranks: 2, hidden: 64, experts: 4, topk: 2 };
let built: Built;
let group: Group;

beforeAll(async () => {
  built = await buildSpec({ ...shape, ht: { maxTokensPerRank: 12 } });
});
beforeEach(async () => {
  group = await built.open({ seed: 3, deadlineMs: 200 });
});
afterEach(() => group.dispose());

const inputs = () => dispatchInputs({ ...shape, seed: 4, numTokens: [4, 4], pattern: 'distinct' });
const callOf = (r: number) => dispatchCall(group.ranks[r]!, built.spec, inputs()[r]!);
const calls = () => [callOf(0), callOf(1)];

const codeOf = (pending: Promise<unknown>): Promise<string> =>
  pending.then(
    () => 'success',
    (error: { code: string }) => error.code,
  );

async function expectStale(pending: Promise<unknown>): Promise<void> {
  const reason = await pending.catch((error: unknown) => error);
  expect(reason).toBeInstanceOf(EpgenStaleError);
}

/** Enqueues a dispatch whose wrong index nobody has heard of when the group gives up. */
function enqueueBadIndex(): void {
  const bad = inputs();
  bad[0]!.topkIdx[0] = 99n;
  group.enqueueDispatch(group.ranks.map((rank, r) => dispatchCall(rank, built.spec, bad[r]!)));
}

test('a write that a stopped group refuses is lost, whatever error waits to be told', async () => {
  const good = callOf(0);
  enqueueBadIndex();
  expect(await codeOf(group.ranks[0]!.dispatch(good))).toBe('EPGEN_TIMEOUT');
  const late = [1, 2].map(() => group.ranks[0]!.tensor('f32', [4], [1, 2, 3, 4]));
  await group.recover();
  for (const tensor of late) await expectStale(tensor.toArray());
});

test('a write that waited behind the call that failed is lost too', async () => {
  const good = callOf(0);
  enqueueBadIndex();
  const given = codeOf(group.ranks[0]!.dispatch(good));
  const behind = group.ranks[0]!.tensor('f32', [4], [1, 2, 3, 4]);
  expect(await given).toBe('EPGEN_TIMEOUT');
  expect(await codeOf(behind.toArray())).toBe('EPGEN_ABORTED');
  await group.recover();
  await expectStale(behind.toArray());
});

test('a write that was performed is kept, and the wrong index is told', async () => {
  enqueueBadIndex();
  const written = group.ranks[0]!.tensor('f32', [4], [1, 2, 3, 4]);
  expect(await codeOf(written.toArray())).toBe('EPGEN_ARGUMENT');
  const given = codeOf(group.ranks[0]!.dispatch(callOf(0)));
  expect(await given).toBe('EPGEN_TIMEOUT');
  await group.recover();
  expect([...(await written.toArray())]).toEqual([1, 2, 3, 4]);
});

test('the sums of an enqueued combine: first what went wrong, then stale', async () => {
  const received = group.enqueueDispatch(calls());
  const [mine, other] = received.map(({ x, handle }) => ({ x, handle }));
  // Rank 1's only combine answers this one, so that nobody answers rank 0's next one.
  const answered = codeOf(group.ranks[0]!.combine(mine!));
  const [lost] = group.enqueueCombine([mine!, other!]);
  expect(await answered).toBe('success');
  expect(await codeOf(lost!.x.toArray())).toMatch(/^EPGEN_(?:TIMEOUT|ABORTED)$/);
  await group.recover();
  await expectStale(lost!.x.toArray());
});

test('the counts and the handle of an enqueued dispatch', async () => {
  const alone = codeOf(group.ranks[0]!.dispatch(callOf(0)));
  const behind = codeOf(group.ranks[0]!.dispatch(callOf(0)));
  const lost = group.enqueueDispatch(calls());
  await Promise.all([alone, behind]);
  await group.recover();
  for (const { numRecvTokens, numTokensPerExpert, handle } of lost) {
    await expectStale(numRecvTokens.toArray());
    await expectStale(numTokensPerExpert.toArray());
    await expectStale(handle.slot());
  }
});

test('copies of rows that never came', async () => {
  const copying = () => calls().map((call) => ({ ...call, copy: true }));
  const [kept] = await group.dispatch(copying());
  await kept!.x.toArray();
  const both = group.dispatch(copying());
  // Enqueued before the counts are known, hence before the copies.
  const alone = codeOf(group.ranks[0]!.dispatch(callOf(0)));
  const [lost] = await both;
  expect(await alone).toBe('EPGEN_TIMEOUT');
  await group.recover();
  await expectStale(lost!.x.toArray());
  await expectStale(lost!.srcIdx.toArray());
  expect(await codeOf(kept!.x.toArray())).toBe('success');
});
