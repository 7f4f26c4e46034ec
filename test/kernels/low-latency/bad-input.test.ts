import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import {
  EpgenArgumentError,
  EpgenTimeoutError,
  EpgenUnsupportedError,
  type Group,
} from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { launches } from '../../support/exchange.js';
import { drawTokens, expectLowLatency, outputTensor } from '../../support/low-latency.js';
import { failureOf } from '../../support/replays.js';

// What a low-latency call refuses, and that the group goes on after it.

const shape = { ranks: 2, hidden: 128, experts: 4, topk: 2 };
const ht = { maxTokensPerRank: 6 };
const memory = { count: 2 };
const maxTokens = 5;

let built: Built;
let group: Group;

beforeAll(async () => {
  built = await buildSpec({
    ...shape,
    ht,
    ll: { maxTokensPerRank: maxTokens, stats: true },
    channels: { memory, ll: 3 },
  });
});
beforeEach(async () => {
  group = await built.open({ seed: 3, deadlineMs: 200 });
});
afterEach(() => group.dispose());

const rankOf = (r: number, of = group) => of.ranks[r]!;

/** Right arguments of one rank's dispatch. */
function dispatchCall(r: number, { of = group, numTokens = 2, topkIdx = [0, 1, 2, 3] } = {}) {
  return {
    x: rankOf(r, of).tensor('bf16', [numTokens, shape.hidden], new Uint16Array(numTokens * 128)),
    topkIdx: rankOf(r, of).tensor('i64', [numTokens, shape.topk], topkIdx),
  };
}

/** Dispatches on all ranks; gives right arguments of their combines. */
function combineCalls(of = group) {
  const received = of.lowLatencyDispatch(of.ranks.map((_, r) => dispatchCall(r, { of })) as never);
  return received.map(({ handle }, r) => ({
    x: outputTensor(rankOf(r, of), built.spec),
    topkWeights: rankOf(r, of).tensor('f32', [2, shape.topk], [1, 2, 3, 4]),
    handle,
  }));
}

/** The group's ordinary calls give what they should. */
async function expectAllRight(of = group) {
  const inputs = drawTokens(built.spec, { seed: 4, numTokens: [5, 2], pattern: 'distinct' });
  await expectLowLatency(built, of, inputs);
}

type Change = (r: number) => object;

describe('a dispatch is refused, with nothing launched on any rank:', () => {
  const tensor = (...args: Parameters<ReturnType<typeof rankOf>['tensor']>) => {
    return (r: number) => rankOf(r).tensor(...args);
  };
  test.each<[string, Change, string | RegExp]>([
    [
      'rows of another dtype',
      (r) => ({ x: tensor('f16', [2, 128])(r) }),
      'Expected perRank[1].x to have the dtype bf16 but received f16',
    ],
    [
      'rows of another hidden',
      (r) => ({ x: tensor('bf16', [2, 64])(r) }),
      /Expected perRank\[1\]\.x to have the shape \[tokens, 128\] \(hidden of .*\) but received \[2, 64\]/,
    ],
    [
      'too many tokens',
      (r) => dispatchCall(r, { numTokens: 6, topkIdx: Array(12).fill(0) }),
      'Expected perRank[1].x to have at most 5 tokens but received 6\nRaise ll.maxTokensPerRank',
    ],
    [
      'choices of fewer tokens',
      (r) => ({ topkIdx: tensor('i64', [1, 2])(r) }),
      'perRank[1].topkIdx to have as many rows as perRank[1].x, 2, but received 1',
    ],
    [
      'too few choices of a token',
      (r) => ({ topkIdx: tensor('i64', [2, 1])(r) }),
      'Expected perRank[1].topkIdx to have the shape [tokens, 2]',
    ],
    [
      'choices of another type',
      (r) => ({ topkIdx: tensor('i32', [2, 2])(r) }),
      'Expected perRank[1].topkIdx to have the dtype i64 but received i32',
    ],
    ['no choices', () => ({ topkIdx: undefined }), 'perRank[1].topkIdx to be a tensor of rank 1'],
    [
      "another rank's rows",
      () => ({ x: dispatchCall(0).x }),
      'Expected perRank[1].x to belong to rank 1 but received one of rank 0',
    ],
    [
      'counters of another size',
      (r) => ({ cumulativeStats: tensor('i32', [4])(r) }),
      'Expected perRank[1].cumulativeStats to have the shape [2] (experts / ranks of',
    ],
    [
      'times of another dtype',
      (r) => ({ waitStats: tensor('i32', [2])(r) }),
      'Expected perRank[1].waitStats to have the dtype i64 but received i32',
    ],
    [
      'more channels than there are',
      () => ({ numChannels: 4 }),
      'Expected perRank[1].numChannels to be an integer in 1..3 but received 4',
    ],
    [
      'a window that is not there',
      () => ({ window: 1 }),
      'Expected perRank[1].window to be an integer in 0..0 but received 1',
    ],
    [
      'a hook that is no boolean',
      () => ({ returnRecvHook: 1 }),
      'Expected perRank[1].returnRecvHook to be true or false but received 1',
    ],
    [
      'a hook and an event',
      () => ({ returnRecvHook: true, asyncFinish: true }),
      'Expected perRank[1].returnRecvHook in place of perRank[1].asyncFinish but received both',
    ],
    [
      'an argument that it does not know',
      () => ({ topkWeights: 1 }),
      'Expected perRank[1] to have only x, topkIdx, returnRecvHook, numChannels, window',
    ],
  ])('%s', async (_, change, message) => {
    const calls = [dispatchCall(0), { ...dispatchCall(1), ...change(1) }];
    const before = launches(group);
    expectRefusal(() => group.lowLatencyDispatch(calls as never), message);
    expect(launches(group)).toEqual(before);
    await expectAllRight();
  });

  test('counters that belong to a handle', () => {
    const [first] = group.lowLatencyDispatch([dispatchCall(0), dispatchCall(1)] as never);
    const cumulativeStats = first!.numTokensPerExpert;
    expectRefusal(
      () => rankOf(0).lowLatencyDispatch({ ...dispatchCall(0), cumulativeStats } as never),
      'Expected cumulativeStats to be a tensor that may be written, but it belongs to a handle',
    );
  });

  test('rows that lie where the dispatch delivers', () => {
    const base = stateOf(group).callSync((raw) => raw.windowBase(0));
    const { offset } = built.sizes.regions.llRecvX!;
    const x = rankOf(0).tensorFromPointer('bf16', [2, shape.hidden], base + BigInt(offset));
    expectRefusal(
      () => rankOf(0).lowLatencyDispatch({ ...dispatchCall(0), x } as never),
      'Expected x to outlive this dispatch',
    );
  });
});

describe('a combine is refused, with nothing launched on any rank:', () => {
  test.each<[string, Change, string]>([
    [
      'outputs of another dtype',
      (r) => ({ x: rankOf(r).tensor('f32', [2, 10, 128]) }),
      'Expected perRank[1].x to have the dtype bf16 but received f32',
    ],
    [
      'outputs of another shape',
      (r) => ({ x: rankOf(r).tensor('bf16', [2, 5, 128]) }),
      'Expected perRank[1].x to have the shape [2, 10, 128] (experts / ranks, ranks * ll.maxTokensPerRank and hidden of',
    ],
    [
      'weights of fewer tokens',
      (r) => ({ topkWeights: rankOf(r).tensor('f32', [1, 2]) }),
      'Expected perRank[1].topkWeights to have 2 rows, the tokens that the handle sent, but received 1',
    ],
    [
      'no weights',
      () => ({ topkWeights: null }),
      'perRank[1].topkWeights to be a tensor of rank 1',
    ],
    [
      'an out of fewer tokens',
      (r) => ({ out: rankOf(r).tensor('bf16', [1, 128]) }),
      'Expected perRank[1].out to have 2 rows, the tokens that the handle sent, but received 1',
    ],
    [
      'no handle',
      () => ({ handle: {} }),
      'Expected perRank[1].handle to be what lowLatencyDispatch gave rank 1 but received an Object',
    ],
    [
      "another rank's handle",
      () => ({ handle: combineCalls()[0]!.handle }),
      'Expected perRank[1].handle to belong to rank 1 but received one of rank 0',
    ],
    [
      'times of another size',
      (r) => ({ waitStats: rankOf(r).tensor('i64', [4]) }),
      'Expected perRank[1].waitStats to have the shape [2]',
    ],
    [
      'choices, which the handle knows',
      () => ({ topkIdx: 1 }),
      'Expected perRank[1] to have only x, topkWeights, handle, out, returnRecvHook',
    ],
    [
      'a hook and an event',
      () => ({ returnRecvHook: true, asyncFinish: true }),
      'Expected perRank[1].returnRecvHook in place of perRank[1].asyncFinish but received both',
    ],
  ])('%s', async (_, change, message) => {
    const [first, second] = combineCalls();
    const changed = { ...second, ...change(1) };
    const before = launches(group);
    expectRefusal(() => group.lowLatencyCombine([first, changed] as never), message);
    expect(launches(group)).toEqual(before);
    await expectAllRight();
  });

  test('handles of two dispatches', () => {
    const [first] = combineCalls();
    const [, second] = combineCalls();
    expectRefusal(
      () => group.lowLatencyCombine([first, second] as never),
      'the call of rank 1 to be of lowLatencyDispatch 1, as on rank 0, but received that of lowLatencyDispatch 2',
    );
  });

  test('a handle of another kind of dispatch, both ways', async () => {
    const calls = group.ranks.map((rank, r) => ({
      ...dispatchCall(r),
      topkWeights: rank.tensor('f32', [2, 2]),
    }));
    const received = await group.dispatch(calls as never);
    const [low] = combineCalls();
    expectRefusal(
      () => rankOf(0).lowLatencyCombine({ ...low, handle: received[0]!.handle } as never),
      'Expected handle to be what lowLatencyDispatch gave rank 0 but received a Handle',
    );
    const failure = await failureOf(
      rankOf(0).combine({ x: received[0]!.x, handle: low!.handle } as never),
    );
    expect(failure.message).toContain(
      'Expected handle to be what dispatch gave rank 0 but received a LowLatencyHandle',
    );
  });

  test('a handle that was disposed', () => {
    const calls = combineCalls();
    calls[1]!.handle.dispose();
    calls[1]!.handle.dispose();
    expectRefusal(
      () => group.lowLatencyCombine(calls as never),
      'Expected perRank[1].handle to be a live handle but received one that was disposed',
    );
  });

  test('an out over rows that peers read in place; into memory of its own it goes', async () => {
    const calls = combineCalls();
    const views = calls.map(({ handle }, r) =>
      rankOf(r).getNextLowLatencyCombineBuffer(handle as never),
    );
    await Promise.all(
      views.map((view) => view.copyFrom(new Uint16Array(2 * 10 * 128).fill(0x3f80))),
    );
    const withOut = (out: (r: number) => unknown) =>
      calls.map((call, r) => ({ ...call, x: views[r], out: out(r) })) as never;
    const over = (r: number) => rankOf(r).tensorFromPointer('bf16', [2, 128], views[r]!.pointer);
    expectRefusal(
      () => group.lowLatencyCombine(withOut(over)),
      'Expected perRank[0].out to lie apart from perRank[0].x, which the call reads, but they overlap',
    );
    const combined = group.lowLatencyCombine(
      withOut((r) => rankOf(r).tensor('bf16', [2, shape.hidden])),
    );
    const wanted = Float32Array.from({ length: 256 }, (_, i) => (i < 128 ? 3 : 7));
    for (const { x } of combined) expect(await x.toFloat32()).toEqual(wanted);
  });

  test('the buffer of the combine before, or one that another handle has claimed', () => {
    const calls = combineCalls();
    const view = () => rankOf(0).getNextLowLatencyCombineBuffer(calls[0]!.handle as never);
    const first = view();
    group.lowLatencyCombine([{ ...calls[0], x: first }, calls[1]] as never);
    expect(() => group.lowLatencyCombine([{ ...calls[0], x: first }, calls[1]] as never)).toThrow(
      'a low-latency combine was enqueued on rank 0 since: take rank.getNextLowLatencyCombineBuffer(handle) again',
    );
    const claimed = view();
    expect(view().pointer).toBe(claimed.pointer);
    rankOf(0).getNextLowLatencyCombineBuffer(combineCalls()[0]!.handle as never);
    expect(() => claimed.pointer).toThrow(/called for another handle on rank 0 since/);
  });
});

function expectRefusal(call: () => unknown, message: string | RegExp) {
  expect(call).toThrow(EpgenArgumentError);
  expect(call).toThrow(message);
}

describe('an index outside the expert range', () => {
  const badCalls = (value: number) => [
    dispatchCall(0),
    dispatchCall(1, { topkIdx: [0, 1, 2, value] }),
  ];

  test.each([4, -2, 2 ** 40])('%s is told by the next read on its rank, once', async (value) => {
    const received = group.lowLatencyDispatch(badCalls(value) as never);
    const failure = await failureOf(received[1]!.x.toArray());
    expect(failure).toBeInstanceOf(EpgenArgumentError);
    expect(failure.message).toContain(
      `rank 1: topkIdx[1][1] is ${value}, expected -1 or 0..${shape.experts - 1}`,
    );
    expect(await received[1]!.handle.slot()).toEqual(Int32Array.of(1, 11, 21, -1));
    expect(await received[0]!.numTokensPerExpert.toArray()).toEqual(Int32Array.of(2, 2));
    await expectAllRight();
  });

  test('is told by the read behind a hook too, and by the sums', async () => {
    const hook = { returnRecvHook: true };
    const split = badCalls(9).map((call) => ({ ...call, ...hook }));
    const received = group.lowLatencyDispatch(split as never);
    for (const got of received) got.hook!();
    const combined = group.lowLatencyCombine(
      received.map(({ handle }, r) => ({
        x: outputTensor(rankOf(r), built.spec),
        topkWeights: rankOf(r).tensor('f32', [2, 2]),
        handle,
      })) as never,
    );
    expect((await failureOf(combined[1]!.x.toArray())).message).toContain('topkIdx[1][1] is 9');
    await combined[1]!.x.toArray();
  });
});

describe('ranks that do not call alike', () => {
  test('another kind of call at the same place', async () => {
    const calls = combineCalls();
    rankOf(0).lowLatencyCombine(calls[0] as never);
    expectRefusal(
      () => rankOf(1).lowLatencyDispatch(dispatchCall(1) as never),
      'Expected call 2 of rank 1 to be lowLatencyCombine, as on rank 0, but received lowLatencyDispatch',
    );
    const x = dispatchCall(1);
    const failure = await failureOf(
      rankOf(1).dispatch({ ...x, topkWeights: rankOf(1).tensor('f32', [2, 2]) } as never),
    );
    expect(failure.message).toContain(
      'to be lowLatencyCombine, as on rank 0, but received dispatch',
    );
    rankOf(1).lowLatencyCombine(calls[1] as never);
    await expectAllRight();
  });

  test('a rank that never calls: the error names it, and how to call', async () => {
    const { numTokensPerExpert } = rankOf(0).lowLatencyDispatch(dispatchCall(0) as never);
    const failure = await failureOf(numTokensPerExpert.toArray());
    expect(failure).toBeInstanceOf(EpgenTimeoutError);
    expect(failure.message).toContain('Rank 1 never called lowLatencyDispatch');
    expect(failure.message).toContain('group.lowLatencyDispatch([');
    expect((await failureOf(numTokensPerExpert.toArray())).message).toMatch(/gave up after/);
    await group.recover();
    await expectAllRight();
  });

  test('in combine too', async () => {
    const [first] = combineCalls();
    const { x } = rankOf(0).lowLatencyCombine(first as never);
    const failure = await failureOf(x.toArray());
    expect(failure).toBeInstanceOf(EpgenTimeoutError);
    expect(failure.message).toContain('Rank 1 never called lowLatencyCombine');
    expect(failure.message).toMatch(/rank 0 waited in lowLatencyCombine for ready of rank 1/);
  });

  test('too few calls, or none', () => {
    expectRefusal(
      () => group.lowLatencyDispatch([dispatchCall(0)] as never),
      'Expected an array of 2 calls, one per rank, but received 1',
    );
    expectRefusal(
      () => rankOf(0).lowLatencyCombine(undefined as never),
      'Expected the call to be an object but received undefined',
    );
  });
});

describe('a module that was built without', () => {
  let bare: Built;
  beforeAll(async () => {
    bare = await buildSpec({ ...shape, ht, channels: { memory } });
  });

  test('low-latency calls refuses all of them', async () => {
    await using without = await bare.open();
    const rank = without.ranks[0]!;
    const wanted = (method: string) => ({
      name: 'EpgenUnsupportedError',
      message: `Expected a module with ${method} but ${bare.spec.name} was built without\nSet ll in the spec and build again.`,
    });
    expect(() => rank.lowLatencyDispatch({} as never)).toThrow(
      expect.objectContaining(wanted('lowLatencyDispatch')),
    );
    expect(() => without.lowLatencyDispatch([{}, {}] as never)).toThrow(EpgenUnsupportedError);
    expect(() => rank.lowLatencyCombine({} as never)).toThrow(
      expect.objectContaining(wanted('lowLatencyCombine')),
    );
    expect(() => rank.getNextLowLatencyCombineBuffer({} as never)).toThrow(
      expect.objectContaining(wanted('getNextLowLatencyCombineBuffer')),
    );
    await expect(without.cleanLowLatencyBuffer()).rejects.toMatchObject(
      wanted('cleanLowLatencyBuffer'),
    );
  });
});

describe('a module that was built without statistics', () => {
  let plain: Built;
  beforeAll(async () => {
    plain = await buildSpec({
      ...{ ...shape, ht, channels: { memory, ll: 3 } },
      ll: { maxTokensPerRank: maxTokens, combineDtype: 'fp8_e4m3' },
    });
  });

  test('refuses tensors for them, and takes null', async () => {
    await using of = await plain.open();
    const waitStats = of.ranks[0]!.tensor('i64', [2]);
    expect(() =>
      of.ranks[0]!.lowLatencyDispatch({ ...dispatchCall(0, { of }), waitStats } as never),
    ).toThrow(
      expect.objectContaining({
        name: 'EpgenUnsupportedError',
        message: expect.stringMatching(
          /to be without waitStats, which .* was built without, but received a Tensor\nSet ll\.stats in/,
        ),
      }),
    );
    const calls = of.ranks.map((_, r) => ({
      ...dispatchCall(r, { of }),
      waitStats: null,
      cumulativeStats: null,
    }));
    const [received] = of.lowLatencyDispatch(calls as never);
    // Rows that travel as fp8 can't be read in place.
    expect(() => of.ranks[0]!.getNextLowLatencyCombineBuffer(received!.handle)).toThrow(
      /Expected combine to move bf16, .* casts its rows to fp8_e4m3/,
    );
  });
});

test('the group was disposed', async () => {
  const [call] = combineCalls();
  await group.dispose();
  const disposed = expect.objectContaining({ code: 'EPGEN_DISPOSED' });
  expect(() => rankOf(0).lowLatencyDispatch({} as never)).toThrow(disposed);
  expect(() => rankOf(0).lowLatencyCombine(call as never)).toThrow(disposed);
  expect(() => rankOf(0).getNextLowLatencyCombineBuffer(call!.handle)).toThrow(disposed);
  await expect(group.cleanLowLatencyBuffer()).rejects.toMatchObject({ code: 'EPGEN_DISPOSED' });
});
