import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import { stateOf } from '../../native/group.js';
import {
  EpgenArgumentError,
  EpgenUnsupportedError,
  type Group,
  type Handle,
} from '../../native/index.js';
import {
  type Bits,
  cachedDispatchReference,
  type DispatchInput,
  type Indices,
} from '../../native/reference/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { rowDifferences } from '../support/compare.js';
import { drawInputs, drawRows } from '../support/draw.js';
import {
  dispatchByTopk,
  dispatchCall,
  expectCached,
  expectCombine,
  expectExchange,
  launches,
  payloadTensors,
  windowBases,
} from '../support/exchange.js';
import { expectedOutputs, shapeOf } from '../support/model.js';
import { randomFrom } from '../support/random.js';
import { type RoutingPattern, unequalTokens } from '../support/routing.js';

// Routings used again, with each way of making the receive buffers free and of placing rows.

const specs: Readonly<Record<string, SpecInput>> = {
  'three ranks, fp8 with scales and extras, one live result, credit': {
    ranks: 3,
    hidden: 256,
    experts: 9,
    topk: 4,
    dtype: 'fp8_e4m3',
    extraBytes: 12,
    ht: { maxTokensPerRank: 40, liveResults: 1, credit: true, cached: true },
    channels: { memory: { count: 4 } },
  },
  'five ranks, bf16, two live results': {
    ranks: 5,
    hidden: 2880,
    experts: 10,
    topk: 3,
    ht: { maxTokensPerRank: 35, cached: true },
    channels: { memory: { count: 3 } },
  },
  'two ranks, slotted, three live results, credit': {
    ranks: 2,
    hidden: 64,
    experts: 6,
    topk: 2,
    ht: { maxTokensPerRank: 70, liveResults: 3, credit: true, cached: true },
    channels: { memory: { count: 16, placement: 'slotted' } },
  },
};

describe.each(Object.entries(specs))('%s', (_, input) => {
  let built: Built;
  let group: Group;
  let bases: bigint[];
  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 17 });
    bases = windowBases(group);
  });
  afterAll(() => group?.dispose());

  const draw = (pattern: RoutingPattern, numTokens: readonly number[], seed: number) =>
    drawInputs(built.spec, { seed, numTokens, pattern });
  const everyRank = (numTokens: number) => group.ranks.map(() => numTokens);
  const unequal = (seed: number) =>
    unequalTokens(built.spec.ranks, built.spec.ht.maxTokensPerRank, seed);

  test.each([1, 3])('a routing used %i times more', async (numCached) => {
    const inputs = draw('distinct', everyRank(built.spec.ht.maxTokensPerRank), numCached);
    await expectExchange(built, group, bases, inputs, { numCached });
  });

  test('unequal tokens, none on one rank, with one channel at once', async () => {
    const inputs = draw('someNone', unequal(3), 3);
    await expectExchange(built, group, bases, inputs, { numCached: 1, numChannels: 1 });
  });

  test.each(['duplicates', 'allNone', 'oneRank', 'noneToSelf'] as const)(
    'routing %s',
    async (pattern) => {
      await expectExchange(built, group, bases, draw(pattern, everyRank(9), 9), { numCached: 2 });
    },
  );

  test('no token on any rank', async () => {
    await expectExchange(built, group, bases, draw('distinct', everyRank(0), 1), { numCached: 2 });
  });

  test('a routing used after other dispatches, and combined twice', async () => {
    const first = draw('distinct', unequal(5), 5);
    const { received, expected } = await dispatchByTopk(built.spec, group, first);
    for (let i = 0; i < 4; i++) {
      const others = draw('someNone', unequal(6 + i), 6 + i);
      group.enqueueDispatch(callsOf(others));
    }
    await expectCached(built.spec, group, received, expected);
    await expectCombine(built.spec, group, received, expected, { seed: 1 });
    await expectCombine(built.spec, group, received, expected, { seed: 2 });
  });

  test('calls of both kinds run ahead of each other on ranks that are late in turns', async () => {
    const first = draw('distinct', unequal(8), 8);
    const { received, expected } = await dispatchByTopk(built.spec, group, first);
    for (let i = 0; i < 12; i++) {
      stateOf(group).callSync((raw) => raw.delay(i % built.spec.ranks, 50_000 * (1 + (i % 3))));
      if (i % 3 === 0) group.enqueueDispatch(callsOf(draw('distinct', unequal(20 + i), 20 + i)));
      else await expectCached(built.spec, group, received, expected, { seed: 30 + i });
    }
    await expectCombine(built.spec, group, received, expected);
  });

  test('a handle whose counts nobody waited for', async () => {
    const inputs = draw('distinct', unequal(4), 4);
    const expected = expectedOutputs(built.spec, inputs);
    const numWorstTokens = built.spec.ranks * built.spec.ht.maxTokensPerRank; // all rows of a window
    const perRank = inputs.map(({ numTokens }, r) => ({
      ...drawRows(built.spec, randomFrom(4, r), numTokens),
      slot: expected[r]!.handle.slot,
      numWorstTokens,
    }));
    const enqueued = group.enqueueDispatch(callsOf(inputs));
    const received = await group.dispatch(
      group.ranks.map((rank, r) => ({
        ...payloadTensors(rank, built.spec, perRank[r]!),
        handle: enqueued[r]!.handle,
      })) as never,
    );
    const want = cachedDispatchReference({ ...shapeOf(built.spec), perRank });
    const differences = await Promise.all(
      received.map((got, r) => rowDifferences(built.spec, r, got as never, want[r]!)),
    );
    expect(differences.flat()).toEqual([]);
  });

  const callsOf = (inputs: readonly DispatchInput<Bits, Indices>[]) =>
    group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)) as never;
});

describe('refused before anything is launched:', () => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(specs['five ranks, bf16, two live results']!);
    group = await built.open({ seed: 19 });
  });
  afterAll(() => group?.dispose());

  const inputs = (numTokens = 5) =>
    drawInputs(built.spec, {
      seed: 1,
      numTokens: Array(built.spec.ranks).fill(numTokens),
      pattern: 'distinct',
    });
  const callsFor = (received: readonly { readonly handle: Handle }[], numTokens = 5) =>
    group.ranks.map((rank, r) => ({
      ...payloadTensors(rank, built.spec, inputs(numTokens)[r]!),
      handle: received[r]!.handle,
    }));
  const dispatched = async () => (await dispatchByTopk(built.spec, group, inputs())).received;
  async function refusal(calls: readonly unknown[]): Promise<EpgenArgumentError> {
    const before = launches(group);
    const failure = await group.dispatch(calls as never).then(
      () => expect.fail('expected a rejection'),
      (error: unknown) => error,
    );
    expect(launches(group)).toEqual(before);
    expect(failure).toBeInstanceOf(EpgenArgumentError);
    return failure as EpgenArgumentError;
  }

  test('another number of tokens than the handle sent', async () => {
    const { message } = await refusal(callsFor(await dispatched(), 6));
    expect(message).toContain(
      'Expected perRank[0].x to have 5 rows, the tokens that perRank[0].handle sent, but received 6',
    );
  });

  test('a handle and choices of experts', async () => {
    const received = await dispatched();
    const calls = group.ranks.map((rank, r) => ({
      ...dispatchCall(rank, built.spec, inputs()[r]!),
      handle: received[r]!.handle,
    }));
    const { message } = await refusal(calls);
    expect(message).toContain(
      'Expected perRank[0].handle in place of perRank[0].topkIdx but received both',
    );
  });

  test('the handle of another rank', async () => {
    const [first, ...others] = await dispatched();
    const { message } = await refusal(callsFor([...others, first!]));
    expect(message).toContain('Expected perRank[0].handle to belong to rank 0');
  });

  test('a handle that was disposed', async () => {
    const received = await dispatched();
    received[3]!.handle.dispose();
    const { message } = await refusal(callsFor(received));
    expect(message).toContain('Expected perRank[3].handle to be a live handle');
  });

  test('the handle of another group', async () => {
    const other = await built.open({ seed: 23 });
    const { received } = await dispatchByTopk(built.spec, other, inputs());
    const { message } = await refusal(callsFor(received));
    expect(message).toContain('of another group');
    await other.dispose();
    await expect(group.dispatch(callsFor(received) as never)).rejects.toThrow(
      'Expected perRank[0].handle to be live, but its group was disposed',
    );
  });

  test('a handle on some ranks only', async () => {
    const received = await dispatched();
    const calls = callsFor(received).map((call, r) =>
      r === 2 ? dispatchCall(group.ranks[r]!, built.spec, inputs()[r]!) : call,
    );
    const { message } = await refusal(calls);
    expect(message).toContain(
      'Expected the call of rank 2 to be dispatch from a handle, as that of rank 0, but received dispatch',
    );
  });

  test('handles of different dispatches, which would send rows to each other’s places', async () => {
    const first = await dispatched();
    const calls = callsFor(first);
    const others = callsFor(await dispatched());
    const { message } = await refusal(calls.map((call, r) => (r === 1 ? others[1]! : call)));
    expect(message).toMatch(
      /Expected the handle of the call of rank 1 to be of dispatch \d+, as on rank 0, but received that of dispatch \d+/,
    );
  });

  test.each([
    ['layout', {}],
    ['expertAlignment', 8],
    ['numWorstTokens', 5],
    ['window', 0],
  ])('%s, which the handle has settled', async (name, value) => {
    const received = await dispatched();
    const { message } = await refusal(
      callsFor(received).map((call) => ({ ...call, [name]: value })),
    );
    expect(message).toContain(
      `Expected perRank[0].handle in place of perRank[0].${name} but received both`,
    );
  });

  test('nothing where null stands for what it settles, or for the handle', async () => {
    const settled = { topkIdx: null, topkWeights: null, layout: null, window: null };
    const received = await dispatched();
    await group.dispatch(callsFor(received).map((call) => ({ ...call, ...settled })) as never);
    const calls = group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs()[r]!));
    await group.dispatch(calls.map((call) => ({ ...call, handle: null })) as never);
  });

  test('a copy in a graph, whose memory would be made outside of it', async () => {
    const calls = callsFor(await dispatched()).map((call) => ({ ...call, copy: true }));
    const capturing = group.capture(() => group.enqueueDispatch(calls as never));
    await expect(capturing).rejects.toThrow(
      'Expected the function of group.capture to only enqueue calls, but it called a dispatch with copy: true',
    );
  });

  test('a handle from before a recovery', async () => {
    const received = await dispatched();
    await group.recover();
    await expect(group.dispatch(callsFor(received) as never)).rejects.toThrow(
      'the group was recovered since its dispatch',
    );
  });
});

test('a spec without cached dispatch names the field to set', async () => {
  const built = await buildSpec({ ranks: 1, hidden: 16, experts: 2, topk: 1 });
  const group = await built.open({ seed: 3 });
  const input = { numTokens: [2], pattern: 'distinct', seed: 1 } as const;
  const { received } = await dispatchByTopk(built.spec, group, drawInputs(built.spec, input));
  const [rank] = group.ranks;
  const x = rank!.tensor('bf16', [2, 16]);
  const failure = group.dispatch([{ x, handle: received[0]!.handle }] as never);
  await expect(failure).rejects.toBeInstanceOf(EpgenUnsupportedError);
  await expect(failure).rejects.toThrow('Set ht.cached in the spec and build again');
  await group.dispose();
});
