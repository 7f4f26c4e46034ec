import { beforeAll, expect, test } from 'vitest';
import type { RawDispatchCall, RawGroup } from '../../native/addon-types.js';
import { loadRaw } from '../native/raw-exchange.js';
import { type Built, buildSpec } from '../support/built.js';

// A rank that comes after the deadline, with calls enqueued behind the one that was given up: nothing that follows may
// report success on what it finds in memory, and nothing may use a handle that was never written.

const shape = { ranks: 2, hidden: 16, experts: 4, topk: 1 };
const rowBytes = shape.hidden * 2;
const lateNs = 2_000_000_000; // virtual
const seeds = Array.from({ length: 12 }, (_, i) => BigInt(i + 1));
let built: Built;

beforeAll(async () => {
  built = await buildSpec({
    ...shape,
    ht: { maxTokensPerRank: 64 },
    channels: { memory: { count: 2 } },
  });
});

function open(seed: bigint): RawGroup {
  const addon = loadRaw(built.addonPath);
  return addon.openGroup({ seed, deadlineMs: 20, firstDeadlineMs: 20 });
}

/** A dispatch of one row for each expert; its handle holds whatever the arena held before. */
function dispatchOf(
  group: RawGroup,
  rank: number,
  experts: readonly bigint[],
  buffer: number,
): RawDispatchCall {
  const numTokens = experts.length;
  const handleBytes = 8192;
  const call = {
    numTokens,
    x: group.alloc(rank, numTokens * rowBytes),
    topkIdx: group.alloc(rank, numTokens * 8),
    topkWeights: group.alloc(rank, numTokens * 4),
    handle: group.alloc(rank, handleBytes),
    buffer,
    grid: 2,
  };
  // Both come before the dispatch on this rank; they are told when the group stops, as everything is.
  const told = () => undefined;
  group.write(rank, call.topkIdx, new Uint8Array(BigInt64Array.from(experts).buffer)).catch(told);
  group.fill(rank, call.handle, handleBytes, 0x7f).catch(told);
  return call;
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'success',
    (error: { code: string }) => error.code,
  );

/** Runs `calls` for each seed: in some a rank comes too late, and then nobody may report success. */
async function expectNobodySucceeds(calls: (group: RawGroup) => Promise<string>[]): Promise<void> {
  let numTimeouts = 0;
  for (const seed of seeds) {
    const group = open(seed);
    group.hold();
    const codes = calls(group);
    group.release();
    const seen = await Promise.all(codes);
    await group.dispose();
    if (!seen.includes('EPGEN_TIMEOUT')) {
      expect(seen).toEqual(seen.map(() => 'success'));
      continue;
    }
    numTimeouts += 1;
    expect(seen.filter((code) => !/^EPGEN_(?:TIMEOUT|ABORTED)$/.test(code))).toEqual([]);
  }
  expect(numTimeouts).toBeGreaterThan(0);
}

test('a second dispatch behind one that was given up passes for neither', async () => {
  await expectNobodySucceeds((group) => {
    group.delay(1, lateNs);
    return [
      { rank: 0, call: dispatchOf(group, 0, [2n, 2n, 3n, 3n], 0) },
      { rank: 0, call: dispatchOf(group, 0, [2n, 0n, 3n, 0n], 1) },
      { rank: 1, call: dispatchOf(group, 1, [2n, 2n, 3n, 3n], 0) },
      { rank: 1, call: dispatchOf(group, 1, [2n, 2n, 3n, 3n], 1) },
    ].map(({ rank, call }) => codeOf(group.dispatch(rank, { ...call, wait: true })));
  });
});

test('a combine behind a dispatch that was given up reads no handle', async () => {
  await expectNobodySucceeds((group) => {
    group.delay(0, lateNs);
    return [0, 1].flatMap((rank) => {
      const dispatch = dispatchOf(group, rank, [2n, 0n, 3n, 1n], 0);
      const { numTokens, handle } = dispatch;
      const out = group.alloc(rank, numTokens * rowBytes);
      const inputOffset = BigInt(built.sizes.regions.output.offset);
      const dispatched = codeOf(group.dispatch(rank, { ...dispatch, wait: true }));
      if (rank === 1) group.delay(rank, 2 * lateNs); // its experts take long
      return [
        dispatched,
        codeOf(group.combine(rank, { numTokens, handle, out, inputOffset, grid: 2 })),
      ];
    });
  });
});
