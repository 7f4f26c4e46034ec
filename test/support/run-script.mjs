// Runs a TypeScript program of the tests: node test/support/run-script.mjs test/mutants/main.ts [its arguments]
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '../..');
const [entry] = process.argv.splice(2, 1);
const out = join(root, 'dist', `.script-${process.pid}.mjs`);

await mkdir(join(out, '..'), { recursive: true });
try {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
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
