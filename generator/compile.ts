import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import {
  type BuildTree,
  buildTarget,
  buildTreeFor,
  CHILD_ENV,
  type OnProgress,
  prepareTarget,
  targetName,
  withTreeLock,
} from './build-tree.js';
import { emitWrapper } from './emit-wrapper.js';
import { EpgenError } from './errors.js';
import { replaceFile, replaceWithCopy } from './install-file.js';
import { nearestFolderWith, packageRoot } from './paths.js';
import { type Spec, specHash } from './spec.js';
import { compilerIdentity, findToolchain, requireTools } from './toolchain.js';

export interface BuildOptions {
  /** A folder that generateTo has written. */
  readonly generatedDir: string;
  readonly spec: Spec;
  readonly backend: 'cpu';
  readonly onProgress?: OnProgress;
}

/** What a build made, or found already made. */
export interface BuildReport {
  readonly name: string;
  readonly backend: 'cpu';
  readonly addonPath: string;
  readonly addonBytes: number;
  readonly compiler: string;
  /** True when nothing had to be compiled. */
  readonly upToDate: boolean;
  /** Wall time of this build, not of the one that made the addon. */
  readonly seconds: number;
}

/** `addon/build.json`: what the binaries and the compiled wrapper were made from. */
interface BuildRecord {
  readonly cpu?: AddonRecord;
  readonly wrapper?: WrapperRecord;
}

interface AddonRecord {
  readonly specHash: string;
  readonly inputHash: string;
  readonly compiler: string;
  readonly addonBytes: number;
}

interface WrapperRecord {
  readonly source: string;
  readonly js: string;
  readonly dts: string;
}

/**
 * Compiles a generated folder: `addon/cpu.node`, `addon/build.json`, `index.js`, `index.d.ts`
 * and, in a project that is not of type module, a package.json that says so of this folder.
 * Each appears in one step once it is complete; on an error what was there stays.
 * @throws EpgenToolError when a tool is missing; EpgenError EPGEN_COMPILE with the compiler's words, or EPGEN_IO.
 */
export async function buildAddon(options: BuildOptions): Promise<BuildReport> {
  const start = performance.now();
  const build = { ...options, generatedDir: resolve(options.generatedDir) };
  const compiler = await compilerIdentity();
  const inputHash = compiler === undefined ? undefined : await hashInputs(build, compiler);

  await buildWrapper(build);
  await declareModule(build.generatedDir);
  const made = (await readRecord(build.generatedDir)).cpu;
  const fresh = inputHash !== undefined && (await isCurrent(build, made, inputHash));
  const addon = fresh && made ? made : await compileAddon(build, compiler ?? '', inputHash ?? '');
  return {
    name: build.spec.name,
    backend: build.backend,
    addonPath: addonPath(build),
    addonBytes: addon.addonBytes,
    compiler: addon.compiler,
    upToDate: fresh,
    seconds: (performance.now() - start) / 1000,
  };
}

async function compileAddon(
  build: BuildOptions,
  compiler: string,
  inputHash: string,
): Promise<AddonRecord> {
  const { generatedDir, spec, backend, onProgress = () => undefined } = build;
  const toolchain = await findToolchain();
  requireTools(toolchain);
  const tree: BuildTree = buildTreeFor(generatedDir, backend, compiler);
  return withTreeLock(tree, onProgress, async () => {
    // Whoever held the lock may have built this very folder.
    const made = (await readRecord(generatedDir)).cpu;
    if (made && (await isCurrent(build, made, inputHash))) return made;

    const target = targetName(spec.name, generatedDir);
    await prepareTarget(tree, { name: target, dir: generatedDir }, toolchain, onProgress);
    const built = await buildTarget(tree, target, toolchain, onProgress);
    onProgress({ step: 'load', text: `load ${basename(built)} in a child process` });
    await smokeLoad(built, spec);

    await replaceWithCopy(built, addonPath(build));
    const { size: addonBytes } = await stat(built);
    const record = { specHash: specHash(spec), inputHash, compiler, addonBytes };
    await updateRecord(generatedDir, { cpu: record });
    return record;
  });
}

/** Compiles index.ts when it, or what was compiled from it, is not what build.json says. */
async function buildWrapper({ generatedDir, onProgress }: BuildOptions): Promise<void> {
  const [source, js, dts] = await Promise.all(
    ['index.ts', 'index.js', 'index.d.ts'].map((name) => readText(join(generatedDir, name))),
  );
  if (source === undefined) {
    throw new EpgenError(`Expected a generated index.ts in ${generatedDir} but found none`, {
      code: 'EPGEN_IO',
      hint: 'epgen generate writes it.',
    });
  }
  const { wrapper } = await readRecord(generatedDir);
  const current = { source: sha256(source), js: sha256(js ?? ''), dts: sha256(dts ?? '') };
  if (JSON.stringify(wrapper) === JSON.stringify(current)) return;

  onProgress?.({ step: 'wrapper', text: 'compile index.ts' });
  const emitted = await emitWrapper(source, join(generatedDir, 'index.ts'));
  await replaceFile(join(generatedDir, 'index.d.ts'), emitted.dts);
  await replaceFile(join(generatedDir, 'index.js'), emitted.js);
  await updateRecord(generatedDir, {
    wrapper: { source: current.source, js: sha256(emitted.js), dts: sha256(emitted.dts) },
  });
}

/** Tells Node that index.js is an ES module, where the project around it says otherwise or nothing. */
async function declareModule(generatedDir: string): Promise<void> {
  const project = nearestFolderWith('package.json', dirname(generatedDir));
  const manifest = project && (await readText(join(project, 'package.json')));
  const { type } = JSON.parse(manifest || '{}') as { type?: string };
  const path = join(generatedDir, 'package.json');
  if (type === 'module' || existsSync(path)) return;
  await replaceFile(path, '{ "type": "module" }\n');
}

async function isCurrent(
  build: BuildOptions,
  made: AddonRecord | undefined,
  inputHash: string,
): Promise<boolean> {
  if (made?.inputHash !== inputHash) return false;
  const size = await stat(addonPath(build))
    .then((file) => file.size)
    .catch(() => undefined);
  return size === made.addonBytes;
}

/** Hash of the generated text, the native sources, the compiler and the options. */
async function hashInputs(build: BuildOptions, compiler: string): Promise<string> {
  const require = createRequire(join(packageRoot(), 'package.json'));
  const api = require('node-addon-api/package.json') as { version: string };
  const hash = createHash('sha256');
  hash.update(JSON.stringify([build.backend, process.arch, compiler, api.version]));
  hash.update(specHash(build.spec));
  const native = join(packageRoot(), 'native');
  for (const folder of [native, build.generatedDir]) {
    const recursive = folder === native;
    const names = (await readdir(folder, { recursive })).filter(isSource).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name))));
    texts.forEach((text, i) => {
      hash.update(`${names[i]}\n${text.length}\n`).update(text);
    });
  }
  return hash.digest('hex');
}

const isSource = (name: string) => /\.(?:cuh?|[ch]pp|h|map)$|(?:^|\/)CMakeLists\.txt$/.test(name);

/** Loads the addon in a child, so that one that crashes cannot take the build down. */
async function smokeLoad(path: string, spec: Spec): Promise<void> {
  const program = [
    'const loaded = { exports: {} };',
    'process.dlopen(loaded, process.argv[1]);',
    'const { name, specHash } = loaded.exports;',
    'console.log(JSON.stringify({ name, specHash }));',
  ].join('');
  const result = await execa(process.execPath, ['-e', program, path], {
    env: CHILD_ENV,
    reject: false,
    timeout: 60_000,
  });
  const expected = JSON.stringify({ name: spec.name, specHash: specHash(spec) });
  if (!result.failed && result.stdout.trim() === expected) return;
  const received = result.failed ? `${result.shortMessage}\n${result.stderr}` : result.stdout;
  throw new EpgenError(
    `The compiled addon does not load: expected ${expected} but received ${received.trim()}`,
    { code: 'EPGEN_COMPILE' },
  );
}

function addonPath({ generatedDir, backend }: BuildOptions): string {
  return join(generatedDir, 'addon', `${backend}.node`);
}

async function readRecord(generatedDir: string): Promise<BuildRecord> {
  const text = await readText(join(generatedDir, 'addon', 'build.json'));
  try {
    return text === undefined ? {} : (JSON.parse(text) as BuildRecord);
  } catch {
    // A damaged record only costs a rebuild.
    return {};
  }
}

async function updateRecord(generatedDir: string, change: BuildRecord): Promise<void> {
  const record = { ...(await readRecord(generatedDir)), ...change };
  const text = `${JSON.stringify(record, null, 2)}\n`;
  await replaceFile(join(generatedDir, 'addon', 'build.json'), text);
}

async function readText(path: string): Promise<string | undefined> {
  return existsSync(path) ? readFile(path, 'utf8') : undefined;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
