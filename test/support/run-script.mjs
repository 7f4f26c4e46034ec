// Plants each bug of the table and sees who finds it:
//   npm run mutants [-- --only TEXT]... [--jobs N] [--json FILE] [--schedules N] [--seconds N]
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '../..');
const out = join(root, 'dist', `.mutants-${process.pid}.mjs`);

await mkdir(join(out, '..'), { recursive: true });
try {
  await build({
    absWorkingDir: root,
    entryPoints: ['test/mutants/main.ts'],
    outfile: out,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    tsconfigRaw: { compilerOptions: { target: 'es2023', verbatimModuleSyntax: true } },
    logLevel: 'warning',
  });
  await import(pathToFileURL(out).href);
} finally {
  await rm(out, { force: true });
}
