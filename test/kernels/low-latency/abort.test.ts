import { beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { drawInputs } from '../../support/draw.js';
import { expectExchange, windowBases } from '../../support/exchange.js';
import {
  callHooks,
  codeOf,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  expectLowLatency,
  type Flight,
  llOf,
  patterns,
  together,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { failureOf } from '../../support/replays.js';

// A rank that comes after the deadline, or never: everybody is told, by name of the rank; after cleanLowLatencyBuffer the
// results are right again.

const deadlineMs = 200;
const lateNs = 2_000_000_000; // virtual

describe.each([
  'two ranks, hidden 64',
  'three ranks, one block of scales, fp8 both ways',
  'five ranks, top-6',
] as const satisfies readonly LowLatencySpecName[])('%s', (name) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
  });

  const open = (seed: number) => built.open({ seed, deadlineMs, firstDeadlineMs: deadlineMs });

  function send(group: Group, seed: number, options: object = {}): Flight {
    const { spec } = built;
    const numTokens = group.ranks.map(() => llOf(spec).maxTokensPerRank);
    const inputs = drawTokens(spec, { seed, numTokens, pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const received = dispatchTokens(group, spec, inputs, options);
    return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
  }

  /** Low-latency and high-throughput calls of every kind give right results. */
  async function expectAllRight(group: Group): Promise<void> {
    const { spec } = built;
    const numTokens = group.ranks.map((_, r) => (r === 1 ? 0 : llOf(spec).maxTokensPerRank));
    for (const [seed, pattern] of patterns.entries()) {
      const inputs = drawTokens(spec, { seed, numTokens, pattern });
      await expectLowLatency(built, group, inputs, { hooks: seed % 2 === 1 });
    }
    const inputs = drawInputs(spec, { seed: 1, numTokens, pattern: 'distinct' });
    await expectExchange(built, group, windowBases(group), inputs);
  }

  test.each([
    ['a rank comes too late to dispatch', 'dispatch'],
    ['a rank comes too late to send', 'send'],
    ['a rank comes too late to combine', 'combine'],
    ['a rank comes too late to say that it combines', 'combineSend'],
  ] as const)('%s: cleanLowLatencyBuffer, then right results', async (_, phase) => {
    const { spec } = built;
    await using group = await open(91);
    const late = spec.ranks - 1;
    for (let round = 0; round < 2; round++) {
      await expectAllRight(group);
      const hooks = { returnRecvHook: phase === 'send' || phase === 'combineSend' };
      const { flight, reads } = together(group, () => {
        if (phase === 'dispatch' || phase === 'send') delayRank(group, late, lateNs);
        const flight = send(group, 5, hooks);
        if (hooks.returnRecvHook) callHooks(flight.received);
        // Whoever waits first hears of it.
        const arrived = flight.received.map(({ x }) => failureOrNull(x.toArray()));
        if (phase === 'combine' || phase === 'combineSend') delayRank(group, late, lateNs);
        const combined = combineTokens(group, spec, flight, hooks);
        if (hooks.returnRecvHook) callHooks(combined);
        const summed = combined.map(({ x }) => failureOrNull(x.toArray()));
        return { flight, reads: [...arrived, ...summed] };
      });
      const failures = (await Promise.all(reads)).filter((failure) => failure !== null);
      const codes = failures.map(({ code }) => code);
      expect(codes).toContain('EPGEN_TIMEOUT');
      expect(codes.filter((code) => code !== 'EPGEN_TIMEOUT' && code !== 'EPGEN_ABORTED')).toEqual(
        [],
      );
      const told = failures.find(({ code }) => code === 'EPGEN_TIMEOUT')!;
      expect(told.message).toMatch(new RegExp(`rank ${late}\\b`));
      expect(told.message).toMatch(/lowLatency(?:Dispatch|Combine)/);
      // Nothing goes until it is cleaned.
      expect(await codeOf(() => send(group, 6))).toBe('EPGEN_ABORTED');
      await group.cleanLowLatencyBuffer();
      for (const { x, handle } of flight.received) {
        expect(await codeOf(() => x.toArray())).toBe('EPGEN_STALE');
        expect(await codeOf(() => handle.slot())).toBe('EPGEN_STALE');
      }
    }
    await expectAllRight(group);
  });

  test('a rank never comes: the others are told which one', async () => {
    await using group = await open(92);
    await expectAllRight(group);
    const { spec } = built;
    const numTokens = group.ranks.map(() => 1);
    const inputs = drawTokens(spec, { seed: 3, numTokens, pattern: 'distinct' });
    const missing = spec.ranks - 1;
    const received = group.ranks.slice(0, missing).map((rank, r) => {
      const { x, topkIdx } = inputs[r]!;
      return rank.lowLatencyDispatch({
        x: rank.tensor('bf16', [1, spec.hidden], x),
        topkIdx: rank.tensor(spec.topkIdx, [1, spec.topk], topkIdx as never),
      } as never);
    });
    const failures = await Promise.all(received.map(({ x }) => failureOf(x.toArray())));
    const told = failures.find(({ code }) => code === 'EPGEN_TIMEOUT');
    expect(told?.message).toMatch(new RegExp(`rank ${missing}\\b`));
    await group.cleanLowLatencyBuffer();
    await expectAllRight(group);
  });

  test('cleaned between a send and its receive: the hook is stale, results after are right', async () => {
    await using group = await open(93);
    const flight = send(group, 1, { returnRecvHook: true });
    await group.cleanLowLatencyBuffer();
    for (const { hook } of flight.received) {
      expect(await codeOf(hook!)).toBe('EPGEN_STALE');
    }
    await expectAllRight(group);
  });

  test('calls behind one that was given up report no success on what they find in memory', async () => {
    const { spec } = built;
    for (let seed = 0; seed < 4; seed++) {
      await using group = await open(94 + seed);
      const reads = together(group, () => {
        delayRank(group, seed % spec.ranks, lateNs);
        return [1, 2].flatMap((call) => {
          const flight = send(group, call);
          const arrived = flight.received.map(({ x }) => failureOrNull(x.toArray()));
          const combined = combineTokens(group, spec, flight);
          return [...arrived, ...combined.map(({ x }) => failureOrNull(x.toArray()))];
        });
      });
      const failures = await Promise.all(reads);
      // The late rank waits for nobody, and may well have received what was sent before.
      const others = failures.filter((_, i) => i % spec.ranks !== seed % spec.ranks);
      const codes = others.map((failure) => failure?.code ?? 'success');
      expect(codes.filter((code) => code !== 'EPGEN_TIMEOUT' && code !== 'EPGEN_ABORTED')).toEqual(
        [],
      );
    }
  });
});

async function failureOrNull(pending: Promise<unknown>) {
  try {
    await pending;
    return null;
  } catch (error) {
    return error as Error & { readonly code: string };
  }
}
