import { beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  callHooks,
  codeOf,
  delayRank,
  dispatchTokens,
  drawTokens,
  expectLowLatency,
  LowLatencyTokenTensors,
  patterns,
  receivedFlaws,
  sumsFlaws,
  together,
} from '../../support/low-latency.js';

// A spec whose calls are low-latency ones alone: nothing of the others is compiled, reserved or offered.

let built: Built;

beforeAll(async () => {
  built = await buildSpec({
    ...{ ranks: 2, hidden: 64, experts: 8, topk: 3, ht: false },
    ll: { maxTokensPerRank: 6, stats: true },
    channels: { ll: 3 },
  });
});

const open = () => built.open({ seed: 31, deadlineMs: 300 });

async function expectRight(group: Group): Promise<void> {
  for (const [seed, pattern] of patterns.entries()) {
    const inputs = drawTokens(built.spec, { seed, numTokens: [6, 3], pattern });
    const combineFrom = seed % 3 === 0 ? 'window' : 'tensor';
    await expectLowLatency(built, group, inputs, { hooks: seed % 2 === 1, combineFrom });
  }
}

function send(group: Group, seed: number) {
  const inputs = drawTokens(built.spec, { seed, numTokens: [6, 4], pattern: 'distinct' });
  return dispatchTokens(group, built.spec, inputs);
}

test('the window has what those calls need, and no more', () => {
  const { regions, handleBytes, llHandleBytes } = built.sizes;
  const names = ['control', 'llControl', 'llRecvX', 'llRecvSrcIdx', 'llOutput'];
  expect(Object.keys(regions)).toEqual(names);
  expect(regions.control).toMatchObject({ offset: 0, bytes: 128 });
  expect([handleBytes, llHandleBytes]).toEqual([undefined, 512]);
});

test('every pattern of routing, with hooks and without', async () => {
  await using group = await open();
  await expectRight(group);
});

test('a graph of a pair, replayed with new routing', async () => {
  await using group = await open();
  const tensors = new LowLatencyTokenTensors(group, built.spec, [6, 3]);
  await using graph = await group.capture(() => {
    const received = tensors.dispatch({ returnRecvHook: true });
    callHooks(received);
    return { received, combined: tensors.combine(received) };
  });
  for (let replay = 0; replay < 20; replay++) {
    const { written, ...filled } = tensors.fill(replay);
    const { received, combined } = graph.replay();
    const flaws = [
      receivedFlaws(built.spec, `replay ${replay}`, received, filled.want),
      sumsFlaws(built.spec, `replay ${replay}`, combined, filled),
    ];
    await written;
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  }
});

test('a rank that comes too late: after recover everything is right again', async () => {
  await using group = await open();
  await expectRight(group);
  const late = together(group, () => {
    delayRank(group, 1, 2_000_000_000);
    return send(group, 5).map(({ x }) => codeOf(() => x.toArray()));
  });
  expect(await Promise.all(late)).toContain('EPGEN_TIMEOUT');
  expect(await codeOf(() => send(group, 6))).toBe('EPGEN_ABORTED');
  await group.recover();
  await expectRight(group);
});

describe('calls of the kind that was not built', () => {
  const wanted = (method: string) => ({
    name: 'EpgenUnsupportedError',
    message: `Expected a module with ${method} but ${built.spec.name} was built without\nSet ht in the spec and build again.`,
  });

  test('are refused, and the group goes on', async () => {
    await using group = await open();
    const rank = group.ranks[0]!;
    const call = {} as never;
    const perRank = [{}, {}] as never;
    await expect(rank.dispatch(call)).rejects.toMatchObject(wanted('dispatch'));
    await expect(group.dispatch(perRank)).rejects.toMatchObject(wanted('dispatch'));
    await expect(rank.combine(call)).rejects.toMatchObject(wanted('combine'));
    await expect(group.combine(perRank)).rejects.toMatchObject(wanted('combine'));
    await expect(rank.getDispatchLayout(call)).rejects.toMatchObject(wanted('getDispatchLayout'));
    await expect(group.getDispatchLayout(perRank)).rejects.toMatchObject(
      wanted('getDispatchLayout'),
    );
    const enqueued = (run: () => unknown, method: string) =>
      expect(run).toThrow(expect.objectContaining(wanted(method)));
    enqueued(() => group.enqueueDispatch(perRank), 'dispatch');
    enqueued(() => group.enqueueDispatch([{ handle: {} }, { handle: {} }] as never), 'dispatch');
    enqueued(() => group.enqueueCombine(perRank), 'combine');
    enqueued(() => rank.combineInput(call), 'combineInput');
    expect(() => rank.expertMajor(call)).toThrow(/Expected a module with rank\.expertMajor/);
    await expectRight(group);
  });

  test('are refused by the addon too', async () => {
    await using group = await open();
    const { raw } = stateOf(group);
    const memory = raw.alloc(0, 4096);
    const call = { numTokens: 0, handle: memory, grid: 1 };
    const refused = expect.objectContaining({
      code: 'EPGEN_UNSUPPORTED',
      message: 'The addon was built without high-throughput calls',
    });
    expect(() => raw.dispatch(0, { ...call, x: memory, buffer: 0, wait: false })).toThrow(refused);
    const combined = raw.combine(0, { ...call, out: memory, inputOffset: 0n });
    await expect(combined).rejects.toThrow(refused);
    const layout = { numTokensPerRank: memory, numTokensPerExpert: memory, isTokenInRank: memory };
    const told = raw.dispatchLayout(0, { numTokens: 0, topkIdx: memory, ...layout });
    await expect(told).rejects.toThrow(refused);
  });
});
