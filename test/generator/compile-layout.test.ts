import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../../generator/generate.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';

const run = promisify(execFile);
const native = join(import.meta.dirname, '..', '..', 'native');

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'epgen-layout-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** What g++ says about layout.cuh: its assertions are checked, nothing is linked. */
async function compileLayout(text: string): Promise<string> {
  const file = join(dir, 'layout.cpp');
  await writeFile(file, text);
  const args = ['-std=c++20', '-DEPGEN_CPU', '-Wall', '-Wextra', '-Werror', `-I${native}`];
  // A header compiled alone: its `#pragma once` is no mistake there.
  const quiet = ['-Wno-pragma-once-outside-header', '-fsyntax-only', file];
  return run('g++', [...args, ...quiet]).then(
    () => '',
    (error: { stderr: string }) => error.stderr,
  );
}

const layoutOf = (input: SpecInput) => generate(parseSpec(input, 'test')).get('layout.cuh') ?? '';
const withoutOnce = (text: string) => text.replace('#pragma once\n', '');

describe('layout.cuh', () => {
  it.each<[name: string, input: SpecInput]>([
    ['the default', { ranks: 8, hidden: 7168 }],
    ['one rank, the smallest rows', { ranks: 1, hidden: 8, experts: 1, topk: 1 }],
    ['three ranks, odd channels', { ranks: 3, hidden: 2880, channels: { memory: { count: 3 } } }],
    [
      'the most of everything',
      {
        ranks: 8,
        hidden: 16384,
        experts: 2048,
        topk: 32,
        ht: { maxTokensPerRank: 65536, liveResults: 4 },
        channels: { memory: { count: 64 } },
      },
    ],
  ])('agrees with the compiler: %s', async (_, input) => {
    expect(await compileLayout(withoutOnce(layoutOf(input)))).toBe('');
  });

  it.each<[what: string, from: string | RegExp, to: string, message: string]>([
    [
      'an offset',
      'offsetof(Control, ready) == 512',
      'offsetof(Control, ready) == 520',
      'layout drift: Control.ready',
    ],
    [
      'a size',
      'sizeof(HandleHeader) == 1536',
      'sizeof(HandleHeader) == 1537',
      'layout drift: HandleHeader',
    ],
    ['a field', 'uint32_t arrivals[8]', 'uint32_t arrivals[80]', 'layout drift: Control.ready'],
    [
      'a constant',
      'kNumExperts = 256',
      'kNumExperts = 250',
      'numExperts must be a multiple of numRanks: every rank owns the same number of experts',
    ],
    ['a record', 'kRecordBytes = 152', 'kRecordBytes = 151', 'layout drift: CountRecord'],
  ])('does not compile with %s changed', async (_, from, to, message) => {
    const text = withoutOnce(layoutOf({ ranks: 8, hidden: 7168 }));
    expect(text).toContain(from);
    expect(await compileLayout(text.replace(from, to))).toContain(message);
  });
});
