import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildSpec } from '../support/built.js';
import { dispatchCall } from '../support/exchange.js';
import { dispatchInputs } from '../support/routing.js';

test('a lane beyond the ranks that reads shared memory is found by name', async () => {
  const shape = { ranks: 2, hidden: 64, experts: 6, topk: 2 };
  const built = await buildSpec({ ...shape, name: 'planted_read', ht: { maxTokensPerRank: 16 } });
  const path = join(built.dir, 'dispatch.cu');
  const source = await readFile(path, 'utf8');
  const guard = '        if (lane_idx() < kNumRanks) {\n            next_slot = ld(';
  expect(source).toContain(guard);
  const planted = source.replace(guard, '        {\n            next_slot = ld(');
  await writeFile(path, planted);
  await built.compile();
  const line = planted.slice(0, planted.indexOf('            next_slot = ld(')).split('\n').length;

  await using group = await built.open({ seed: 1 });
  const inputs = dispatchInputs({ ...shape, seed: 1, numTokens: [5, 5], pattern: 'distinct' });
  const failure = await group
    .dispatch(group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)))
    .then(
      () => undefined,
      (error: unknown) => error as Error & { code: string },
    );
  expect(failure?.code).toBe('EPGEN_FAULT');
  expect(failure?.message).toMatch(/smem\.base/);
  expect(failure?.message).toContain(`dispatch.cu:${line}`);
});
