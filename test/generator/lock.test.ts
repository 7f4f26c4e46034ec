import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../../generator/lock.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'epgen-lock-'));
});
afterEach(() => rm(root, { recursive: true }));

const quiet = () => undefined;

describe('withLock', () => {
  it('lets one at a time in, and leaves nothing', async () => {
    const dir = join(root, 'tree');
    const events: string[] = [];
    const waits: string[] = [];
    const work = (name: string) =>
      withLock(
        dir,
        ({ step }) => waits.push(step),
        async () => {
          events.push(`${name} in`);
          await new Promise((resolve) => setTimeout(resolve, 50));
          events.push(`${name} out`);
        },
      );
    await Promise.all([work('a'), work('b')]);
    expect(events.map((event) => event.slice(2))).toEqual(['in', 'out', 'in', 'out']);
    expect(waits).toEqual(['wait']);
    expect(await readdir(root)).toEqual(['tree']);
  });

  it('ends work that has lost its lock, with an error of ours', async () => {
    const dir = join(root, 'tree');
    const work = withLock(dir, quiet, async (lost) => {
      await rm(`${dir}.lock`, { recursive: true });
      await new Promise((_, reject) => {
        lost.addEventListener('abort', () => reject(new Error('stopped')));
      });
    });
    await expect(work).rejects.toMatchObject({
      code: 'EPGEN_IO',
      message: `Expected to hold ${dir}.lock until the build ended but it was taken or deleted`,
      cause: { code: 'ECOMPROMISED' },
    });
  });
});
