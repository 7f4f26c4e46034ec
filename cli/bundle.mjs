// Bundles the command line into dist/cli. Commands become chunks that load only when they run, and
// `epgen.js`, the library as spec files import it, shares those chunks: one copy of every class.
import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}dist/cli`;
const fresh = `${root}dist/.cli-${process.pid}`;

const entryPoints = { main: 'cli/main.ts', epgen: 'generator/index.ts' };
if (existsSync(`${root}cli/demo.ts`)) entryPoints.demo = 'cli/demo.ts';

await mkdir(`${root}dist`, { recursive: true });
try {
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir: fresh,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    tsconfigRaw: { compilerOptions: { target: 'es2023', verbatimModuleSyntax: true } },
    external: ['esbuild', 'ts-morph', 'epgen', 'epgen/runtime', '#epgen/*'],
    // CommonJS dependencies call require, which an ES module doesn't have.
    banner: {
      js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
    },
    logLevel: 'warning',
  });
  await chmod(`${fresh}/main.js`, 0o755);
  await rm(target, { recursive: true, force: true });
  await rename(fresh, target);
} finally {
  await rm(fresh, { recursive: true, force: true });
}
