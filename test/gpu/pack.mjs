// Packs a folder that runs the tests and the benchmark on a machine without this repository or a network:
//   npm run gpu:pack -- [--out DIR] [--backend cuda|cpu] [--arch ARCH] [--only TEXT]... [--ranks 2,1] [--no-node]
// Inside it: ./run-tests and ./run-bench. Needs xz, except with --no-node.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { build } from 'esbuild';

const maxBytes = 60 * 2 ** 20;
const root = resolve(import.meta.dirname, '../..');
const generatedRoot = join(root, 'test/.generated/gpu');
const cache = join(root, 'node_modules/.cache/epgen-gpu');
const harness = 'test/gpu/harness';
const run = promisify(execFile);

const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist/gpu') },
    backend: { type: 'string', default: 'cuda' },
    arch: { type: 'string' },
    only: { type: 'string', multiple: true },
    ranks: { type: 'string' },
    'no-node': { type: 'boolean', default: false },
  },
});
const out = resolve(options.out);
const fresh = `${out}.${process.pid}`;
const ranks = options.ranks?.split(',').map(Number);
const withNode = !options['no-node'];

const { buildAddon } = await fromDist('generator/compile.js');
const { generateTo } = await fromDist('generator/generate.js');
const { parseSpec } = await fromDist('generator/spec.js');

try {
  const suites = testFiles();
  await bundle(suites);
  await writeJson('package.json', {
    name: 'epgen',
    type: 'module',
    exports: { './runtime': './native/index.js' },
  });
  await cp(join(root, 'test/fixtures'), join(fresh, 'test/fixtures'), { recursive: true });
  const { specs, extras } = collect(suites);
  const addons = {};
  for (const [i, need] of specs.entries()) {
    console.log(`[${i + 1}/${specs.length}] ${need.spec.name}: ${need.backends.join(', ')}`);
    await packSpec(need, addons);
  }
  for (const path of extras) await cp(join(root, path), join(fresh, path), { recursive: true });
  if (withNode) await packNode();
  for (const name of ['run-tests', 'run-bench']) {
    await copyFile(join(root, harness, 'run.sh'), join(fresh, name));
    await chmod(join(fresh, name), 0o755);
  }
  await writeJson('manifest.json', {
    commit: git('rev-parse', 'HEAD'),
    dirty: git('status', '--porcelain', '--', '.', ':!node_modules').split('\n').filter(Boolean),
    packedAt: new Date().toISOString(),
    backend: options.backend,
    ...(ranks && { ranks }),
    node: process.version,
    suites,
    addons,
  });
  const { numFiles, numBytes } = await sizeOf(fresh);
  if (numBytes > maxBytes) throw new Error(`${mib(numBytes)} are more than ${mib(maxBytes)}`);
  await rm(out, { recursive: true, force: true });
  await rename(fresh, out);
  console.log(`${out}: ${numFiles} files, ${mib(numBytes)}`);
} finally {
  await rm(fresh, { recursive: true, force: true });
}

function fromDist(path) {
  return import(pathToFileURL(join(root, 'dist', path)).href);
}

/** Test files under test/, without `.ts`. */
function testFiles() {
  const files = ['kernels', 'native', 'gpu/suites'].flatMap((folder) =>
    readdirSync(join(root, 'test', folder), { recursive: true })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name.slice(0, -'.ts'.length)}`),
  );
  return files.filter(isWanted);
}

function isWanted(path) {
  return options.only?.some((text) => path.includes(text)) ?? true;
}

/** Tests, harness and runtime as one graph of modules, so that all of them share one runtime. */
async function bundle(suites) {
  const programs = readdirSync(join(root, harness)).filter((name) =>
    /^(?:run-|probe|collect|vitest|host).*\.ts$/.test(name),
  );
  const bench = ['test/bench/packed.ts'].filter(isWanted);
  await build({
    absWorkingDir: root,
    entryPoints: [
      'native/index.ts',
      ...suites.map((file) => `test/${file}.ts`),
      ...programs.map((name) => `${harness}/${name}`),
      ...bench,
    ],
    outdir: fresh,
    outbase: root,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    keepNames: true,
    sourcemap: 'inline',
    sourcesContent: false,
    tsconfigRaw: { compilerOptions: { target: 'es2023', verbatimModuleSyntax: true } },
    alias: { vitest: join(root, harness, 'vitest.ts') },
    plugins: [{ name: 'packed', setup: usePackedBuilds }],
    banner: {
      js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
    },
    logLevel: 'warning',
  });
}

/** Tests find the packed folder's builds where they would compile. */
function usePackedBuilds({ onResolve }) {
  onResolve({ filter: /(?:^|\/)built\.js$/ }, () => ({ path: join(root, harness, 'built.ts') }));
}

/** The specs that tests and benchmark build, each once, with every addon that one of them needs. */
function collect(suites) {
  const args = [join(fresh, harness, 'collect.js'), fresh, options.backend, ...suites];
  const text = execFileSync(process.execPath, args, {
    ...{ encoding: 'utf8', maxBuffer: 2 ** 26 },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { specs, extras } = JSON.parse(text);
  const byName = new Map();
  // Without a toolchain for GPUs, what compares backends compares cpu with itself.
  const all = options.backend === 'cpu' ? ['cpu'] : ['cpu', 'cuda'];
  for (const { input, backends = [options.backend], otherArch, evenWithTooFewDevices } of specs) {
    const spec = parseSpec(input, 'test');
    if (ranks && !ranks.includes(spec.ranks) && !evenWithTooFewDevices) continue;
    const known = byName.get(spec.name);
    byName.set(spec.name, {
      spec,
      backends: all.filter((one) => backends.includes(one) || known?.backends.includes(one)),
      otherArch: otherArch ?? known?.otherArch,
    });
  }
  return { specs: [...byName.values()], extras };
}

async function packSpec({ spec, backends, otherArch }, addons) {
  const to = join(fresh, 'generated', spec.name);
  for (const backend of backends) {
    const arch = backend === 'cuda' ? options.arch : undefined;
    const addon = `generated/${spec.name}/addon/${backend}.node`;
    addons[addon] = await packAddon({ spec, backend, arch }, join(generatedRoot, 'default'), addon);
  }
  await copyFile(join(generatedRoot, 'default', spec.name, 'index.js'), join(to, 'index.js'));
  if (otherArch !== undefined && options.backend === 'cuda') {
    const addon = `generated/${spec.name}/addon-${otherArch}/cuda.node`;
    const from = join(generatedRoot, otherArch);
    addons[addon] = await packAddon({ spec, backend: 'cuda', arch: otherArch }, from, addon);
  }
}

/** Builds an addon, and packs it without its symbols. */
async function packAddon({ spec, backend, arch }, folder, path) {
  const generatedDir = join(folder, spec.name);
  await mkdir(generatedDir, { recursive: true });
  await generateTo(generatedDir, spec, spec.name, { force: true });
  const target = { generatedDir, spec, backend, ...(arch && { arch }) };
  const { addonPath, compiler } = await buildAddon(target);
  const to = join(fresh, path);
  await mkdir(dirname(to), { recursive: true });
  await copyFile(addonPath, to);
  strip(to);
  const sha256 = hashOf(to);
  if (withNode) await compress(to);
  return { sha256, compiler, ...(arch && { arch }) };
}

async function packNode() {
  const to = join(fresh, 'bin/node');
  await mkdir(dirname(to), { recursive: true });
  await copyFile(process.execPath, to);
  strip(to);
  console.log(`node ${process.version}`);
  await compress(to);
}

function strip(path) {
  try {
    execFileSync('strip', ['--strip-unneeded', path]);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    // Without binutils it stays as large as it is.
  }
}

/** Replaces a file by its `.xz`; what was compressed before comes from the cache. */
async function compress(path) {
  const cached = join(cache, `${hashOf(path)}.xz`);
  if (!existsSync(cached)) {
    await mkdir(cache, { recursive: true });
    const part = `${cached}.${process.pid}`;
    await run('sh', ['-c', 'nice xz -9 -c "$1" > "$2"', 'sh', path, part]);
    await rename(part, cached);
  }
  await copyFile(cached, `${path}.xz`);
  await rm(path);
}

function hashOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
}

function writeJson(name, value) {
  return writeFile(join(fresh, name), `${JSON.stringify(value, null, 2)}\n`);
}

async function sizeOf(dir) {
  const names = await readdir(dir, { recursive: true });
  const files = (await Promise.all(names.map((name) => stat(join(dir, name))))).filter((file) =>
    file.isFile(),
  );
  return { numFiles: files.length, numBytes: files.reduce((sum, { size }) => sum + size, 0) };
}

function mib(numBytes) {
  return `${(numBytes / 2 ** 20).toFixed(1)} MiB`;
}
