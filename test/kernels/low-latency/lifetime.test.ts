import { afterEach, beforeAll, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  callHooks,
  codeOf,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  type Flight,
  outputTensor,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { lowLatencySpecs } from '../../support/low-latency-specs.js';

// How long things live: handles over many combines, tensors that nobody refers to, groups with work under way.

let built: Built;
let group: Group;
beforeAll(async () => {
  built = await buildSpec(lowLatencySpecs['two ranks, hidden 64']);
});
afterEach(() => group?.dispose());

function send(seed: number, options: object = {}): Flight {
  const { spec } = built;
  const inputs = drawTokens(spec, { seed, numTokens: [6, 5], pattern: 'distinct' });
  const want = expectedRows(spec, inputs);
  const received = dispatchTokens(group, spec, inputs, options);
  return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
}

test('a handle is combined again and again, with other outputs, between other dispatches', async () => {
  group = await built.open({ seed: 101 });
  const { spec } = built;
  const flaws: Promise<string[]>[] = [];
  const first = send(0);
  for (let i = 1; i < 12; i++) {
    const other = send(i);
    flaws.push(receivedFlaws(spec, `other ${i}`, other.received, other.want));
    const again = { ...first, outputs: drawOutputs(spec, first.want, 100 + i) };
    flaws.push(sumsFlaws(spec, `again ${i}`, combineTokens(group, spec, again), again));
    if (i % 3 === 0) flaws.push(sumsFlaws(spec, `${i}`, combineTokens(group, spec, other), other));
  }
  expect((await Promise.all(flaws)).flat()).toEqual([]);
});

test('the same sums from a tensor, from the window and into a tensor that is given', async () => {
  group = await built.open({ seed: 102 });
  const { spec } = built;
  const flight = send(1);
  const outs = group.ranks.map((rank, r) =>
    rank.tensor('bf16', [flight.inputs[r]!.numTokens, spec.hidden]),
  );
  const staged = combineTokens(group, spec, flight, (r) => ({ out: outs[r] }));
  staged.forEach(({ x }, r) => {
    expect(x.pointer).toBe(outs[r]!.pointer);
  });
  expect(await sumsFlaws(spec, 'staged', staged, flight)).toEqual([]);
  const views = await Promise.all(
    group.ranks.map(async (rank, r) => {
      const view = rank.getNextLowLatencyCombineBuffer(flight.received[r]!.handle);
      await view.copyFrom(flight.outputs[r]!);
      return view;
    }),
  );
  const zeroCopy = combineTokens(group, spec, flight, (r) => ({ x: views[r] }));
  expect(await sumsFlaws(spec, 'zero copy', zeroCopy, flight)).toEqual([]);
  // Of the buffer by its address, too.
  const pointed = await Promise.all(
    group.ranks.map(async (rank, r) => {
      const view = rank.getNextLowLatencyCombineBuffer(flight.received[r]!.handle);
      await view.copyFrom(flight.outputs[r]!);
      return rank.tensorFromPointer('bf16', view.shape, view.pointer);
    }),
  );
  const byAddress = combineTokens(group, spec, flight, (r) => ({ x: pointed[r] }));
  expect(await sumsFlaws(spec, 'by address', byAddress, flight)).toEqual([]);
  // Some ranks one way, some the other.
  const mixed = combineTokens(group, spec, flight, (r) => {
    const { handle } = flight.received[r]!;
    if (r === 0) return {};
    const view = group.ranks[r]!.getNextLowLatencyCombineBuffer(handle);
    view.copyFrom(flight.outputs[r]!).catch(() => undefined);
    return { x: view };
  });
  expect(await sumsFlaws(spec, 'mixed', mixed, flight)).toEqual([]);
});

test('a tensor of expert outputs may be written again once the combine is enqueued', async () => {
  group = await built.open({ seed: 103 });
  const { spec } = built;
  const flaws: Promise<string[]>[] = [];
  const outputs = group.ranks.map((rank) => outputTensor(rank, spec));
  for (let i = 0; i < 20; i++) {
    const flight = send(i);
    const written = outputs.map((tensor, r) => tensor.copyFrom(flight.outputs[r]!));
    const combined = combineTokens(group, spec, flight, (r) => ({ x: outputs[r] }));
    flaws.push(sumsFlaws(spec, `call ${i}`, combined, flight));
    flaws.push(Promise.all(written).then(() => []));
  }
  expect((await Promise.all(flaws)).flat()).toEqual([]);
});

test.each([
  ['whole calls', false],
  ['calls with hooks', true],
])(
  'tensors that nobody refers to are not taken from calls that are under way: %s',
  async (_, hooks) => {
    group = await built.open({ seed: 104, deadlineMs: 60_000 });
    const { spec } = built;
    const { raw } = stateOf(group);
    /** Collects, and writes over what was given back. */
    const overwrite = async () => {
      raw.collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 5));
      const tensors = group.ranks.flatMap((rank) =>
        Array.from({ length: 32 }, () => rank.tensor('u8', [512], new Uint8Array(512).fill(0xff))),
      );
      for (const tensor of tensors) tensor.dispose();
    };
    raw.hold();
    delayRank(group, 0, 1_000_000);
    const { inputs, want, outputs, received } = send(1, { returnRecvHook: hooks });
    for (let i = 0; i < 3; i++) await overwrite();
    if (hooks) callHooks(received);
    const combined = combineTokens(group, spec, { inputs, want, outputs, received }, () => ({
      returnRecvHook: hooks,
    }));
    for (let i = 0; i < 3; i++) await overwrite();
    if (hooks) callHooks(combined);
    for (let i = 0; i < 3; i++) await overwrite();
    raw.release();
    expect(await receivedFlaws(spec, 'rows', received, want)).toEqual([]);
    expect(await sumsFlaws(spec, 'sums', combined, { inputs, want, outputs })).toEqual([]);
  },
);

test('timers fire while calls wait for a late rank', async () => {
  group = await built.open({ seed: 105, deadlineMs: 60_000 });
  let numFired = 0;
  const timer = setInterval(() => {
    numFired += 1;
  }, 1);
  try {
    const flaws: Promise<string[]>[] = [];
    for (let i = 0; i < 100; i++) {
      delayRank(group, i % 2, 2_000_000);
      const { received, want } = send(i);
      flaws.push(receivedFlaws(built.spec, `call ${i}`, received, want));
      if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  } finally {
    clearInterval(timer);
  }
  expect(numFired).toBeGreaterThan(3);
});

test('a group is disposed while calls are under way, and while receives were never enqueued', async () => {
  for (let seed = 0; seed < 6; seed++) {
    group = await built.open({ seed: 106 + seed, deadlineMs: 60_000 });
    delayRank(group, seed % 2, 1_000_000_000);
    const flight = send(seed, { returnRecvHook: seed % 3 === 0 });
    if (seed % 3 === 1) combineTokens(group, built.spec, flight);
    await group.dispose();
    expect(await codeOf(() => flight.received[0]!.x.pointer)).toBe('EPGEN_DISPOSED');
    if (seed % 3 !== 0) continue;
    expect(await codeOf(flight.received[0]!.hook!)).toBe('EPGEN_DISPOSED');
  }
});
