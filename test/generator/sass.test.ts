import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// The check of machine code, on the ordering instructions of kernels as a GPU machine listed them.

const gpuDir = join(import.meta.dirname, '..', 'gpu');
const listing = readFileSync(join(gpuDir, 'results', 'single-gpu', 'sass.txt'), 'utf8');

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'epgen-sass-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

function check(text: string): string {
  const path = join(scratch, 'kernels.txt');
  writeFileSync(path, text);
  const { stdout } = spawnSync(process.execPath, [join(gpuDir, 'sass-check.mjs'), path], {
    encoding: 'utf8',
  });
  return stdout;
}

describe('test/gpu/sass-check.mjs', () => {
  test('finds nothing wrong with what nvcc made', () => {
    expect(check(listing)).toMatch(/^48 kernels, 0 problems$/m);
  });

  test.each([
    ['a release', 'MEMBAR.ALL.SYS\n', '', 'MEMBAR.ALL.SYS: 3 times, not 4'],
    [
      'an acquire',
      'LDG.E.STRONG.SYS\nCCTL.IVALL\n',
      'LDG.E.STRONG.SYS\n',
      'acquired from each source',
    ],
    [
      'a proxy fence',
      'MEMBAR.ALL.GPU\nFENCE.VIEW.ASYNC.S\n',
      '',
      'all copies of the block are complete',
    ],
    ['completion', 'DEPBAR.LE 0x0\n', 'DEPBAR.LE 0x5\n', 'all copies of the block are complete'],
    ['the scope', 'REDG.E.ADD.STRONG.SYS', 'REDG.E.ADD.STRONG.GPU', 'released to each destination'],
    [
      'the arrival of those who count experts',
      'STG.E.STRONG.SYS\nSYNCS.ARRIVE.TRANS64.A1T0\n',
      'STG.E.STRONG.SYS\n',
      'SYNCS.ARRIVE.TRANS64.A1T0: 1 times, not 2',
    ],
    ['coherence', 'CCTL.IVALL\n', 'CCTL.IVALL\nLDG.E.CONSTANT\n', 'LDG.E.CONSTANT is forbidden'],
  ])('finds that dispatch lost %s', (_, from, to, problem) => {
    expect(listing).toContain(from);
    const output = check(listing.replace(from, to));
    expect(output).toContain(problem);
    expect(output).not.toMatch(/ 0 problems$/m);
  });
});
