import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCommand } from '../../generator/toolchain.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const generated = join(root, 'generated');
const kernels = readdirSync(generated, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name }) =>
    readdirSync(join(generated, name))
      .filter((file) => file.endsWith('.cu'))
      .map((file) => `${name}/${file}`),
  )
  .sort();

const nvcc = await findCommand('nvcc');

const ARCH_FLAGS = [
  '-std=c++20',
  '-gencode',
  'arch=compute_90a,code=sm_90a',
  '-Werror',
  'all-warnings',
];

describe.skipIf(nvcc === undefined)(
  'nvcc compiles every committed kernel (skipped: no nvcc on PATH)',
  () => {
    let scratch = '';
    beforeAll(() => {
      scratch = mkdtempSync(join(tmpdir(), 'epgen-nvcc-'));
    });
    afterAll(() => rmSync(scratch, { recursive: true }));

    it.concurrent.each(kernels)('%s', async (kernel) => {
      const object = join(scratch, kernel.replace('/', '-').replace(/cu$/, 'o'));
      const output = ['-c', join(generated, kernel), '-o', object];
      const report = await run(nvcc as string, [
        ...ARCH_FLAGS,
        '-Xptxas',
        '-v',
        '-I',
        join(root, 'native'),
        ...output,
      ]);
      expect(report.stderr, kernel).not.toMatch(/C7508|[1-9]\d* bytes spill/);
    });
  },
);
