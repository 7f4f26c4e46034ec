import { beforeAll, expect, test } from 'vitest';
import type { RawAddon, RawGroup } from '../../native/addon-types.js';
import { failureOf, loadRaw, rawAddonPath } from './raw-exchange.js';

let addon: RawAddon;
beforeAll(async () => {
  addon = loadRaw(await rawAddonPath());
});

async function withGroup(use: (group: RawGroup) => Promise<void> | void): Promise<void> {
  const group = addon.openGroup({ seed: 1n, deadlineMs: 1000, firstDeadlineMs: 1000 });
  try {
    await use(group);
  } finally {
    await group.dispose();
  }
}

test('blocks are aligned, don’t overlap, and freed neighbours become one range again', () =>
  withGroup((group) => {
    const blocks = [1, 256, 257, 1000].map((bytes) => group.alloc(0, bytes));
    expect(blocks.map((block) => block - group.arenaBase(0))).toEqual([0n, 256n, 512n, 1024n]);
    for (const idx of [1, 3, 0, 2]) group.free(0, blocks[idx]!);
    expect(group.alloc(0, 2048)).toBe(group.arenaBase(0));
  }));

test('a full arena names the rank and what is free', () =>
  withGroup((group) => {
    expect(() => group.alloc(1, 2 ** 40)).toThrow(
      /arena of rank 1 \(\d+ of \d+ bytes are free: arena full\)/,
    );
  }));

test('write, copy, fill and read keep their order', () =>
  withGroup(async (group) => {
    const from = group.alloc(0, 4);
    const to = group.alloc(0, 4);
    const bytes = new Uint8Array([1, 2, 3, 4]);
    void group.write(0, from, bytes);
    bytes.fill(9);
    group.copy(0, to, from, 4);
    void group.fill(0, from, 4, 0xab);
    expect([...new Uint8Array(await group.read(0, to, 4))]).toEqual([1, 2, 3, 4]);
    expect([...new Uint8Array(await group.read(0, from, 4))]).toEqual([0xab, 0xab, 0xab, 0xab]);
    expect((await group.read(0, from, 0)).byteLength).toBe(0);
  }));

test('an address of another rank, of a freed block or past the end is refused, with the place of the call', () =>
  withGroup(async (group) => {
    const block = group.alloc(0, 256);
    const freed = group.alloc(0, 256);
    group.free(0, freed);
    for (const [rank, pointer, numBytes] of [
      [1, block, 4],
      [0, freed, 4],
      [0, block, 257],
      [0, 0n, 1],
    ] as const) {
      const failure = await failureOf(group.read(rank, pointer, numBytes));
      expect(failure.code).toBe('EPGEN_ARGUMENT');
      expect(failure.message).toContain(`Expected pointer to be ${numBytes} bytes in one tensor`);
      expect(failure.stack).toContain('memory.test.ts');
    }
    await group.read(0, group.windowBase(0), 16);
  }));

test('after dispose every call is refused, and disposing again does nothing', () =>
  withGroup(async (group) => {
    const block = group.alloc(0, 4);
    await group.dispose();
    await group.dispose();
    expect((await failureOf(group.read(0, block, 4))).code).toBe('EPGEN_DISPOSED');
    expect(() => group.alloc(0, 1)).toThrow('disposed');
  }));
