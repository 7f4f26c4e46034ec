import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Run {
  readonly commit: string;
  readonly dirty: readonly string[];
  readonly machine: { readonly gpus: readonly string[] };
  readonly counts: { readonly passed: number; readonly failed: number };
}

test.each(['results', 'results/low-latency'])(
  'the status in the README is what the newest run of the tests on GPUs says: %s',
  (folder) => {
    const dir = join(import.meta.dirname, folder);
    const newest = readdirSync(dir)
      .filter((name) => name.includes('-tests-'))
      .sort()
      .at(-1);
    const run = JSON.parse(readFileSync(join(dir, newest ?? ''), 'utf8')) as Run;
    expect(run.dirty).toEqual([]);
    const { gpus } = run.machine;
    const name = gpus[0]?.replace('NVIDIA ', '');
    const { passed, failed } = run.counts;
    const tests = failed === 0 ? `${passed} tests` : `${passed} of ${passed + failed} tests`;
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    expect(readme).toContain(`${tests} on ${gpus.length} × ${name} at ${run.commit.slice(0, 7)}`);
  },
);
