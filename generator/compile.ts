import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import type { BuildTarget } from './build-target.js';
import { DEFAULT_ARCH } from './build-target.js';
import {
  buildTarget,
  buildTreeFor,
  CHILD_ENV,
  type OnProgress,
  objectFolder,
  prepareTarget,
  targetName,
  withTreeLock,
} from './build-tree.js';
import { emitWrapper } from './emit-wrapper.js';
import { EpgenError } from './errors.js';
import type { FileSet } from './file-set.js';
import { installTogether, type NewFile } from './install-file.js';
import { withLock } from './lock.js';
import { compareFolder, filesToWrite, type WriteReport } from './output.js';
import { nearestFolderWith, packageRoot } from './paths.js';
import { MODULE_MANIFEST, readManifest } from './project-manifest.js';
import { type KernelResources, readPtxasReport } from './ptxas-report.js';
import { type Spec, specHash } from './spec.js';
import { stageSources, stagingFolder } from './staging.js';
import { compilerIdentity, findToolchain, requireTools } from './toolchain.js';

export interface BuildOptions {
  /** A folder that generateTo has written, or the folder for `files`. */
  readonly generatedDir: string;
  /** Text that the folder shall hold: it appears together with its addon. Left out: what the folder holds. */
  readonly files?: FileSet;
  readonly spec: Spec;
  readonly backend: BuildTarget['backend'];
  /** What CUDA kernels are compiled for. Default: `sm_90a`. */
  readonly arch?: string | undefined;
  readonly onProgress?: OnProgress;
}

/** What a build made, or found already made. */
export interface BuildReport {
  readonly name: string;
  readonly backend: BuildTarget['backend'];
  /** Of the cuda backend. */
  readonly arch?: string;
  /** What ptxas says; of the cuda backend. */
  readonly kernels?: readonly KernelResources[];
  readonly addonPath: string;
  readonly addonBytes: number;
  readonly compiler: string;
  /** True when nothing had to be compiled. */
  readonly upToDate: boolean;
  /** Wall time of this build, not of the one that made the addon. */
  readonly seconds: number;
  /** What became of `files`. */
  readonly text: WriteReport;
}

/** `addon/build.json`: what the binaries and the compiled wrapper were made from. */
interface BuildRecord {
  readonly cpu?: AddonRecord;
  readonly cuda?: AddonRecord;
  readonly wrapper?: WrapperRecord;
}

interface AddonRecord {
  readonly specHash: string;
  readonly inputHash: string;
  readonly compiler: string;
  readonly addonBytes: number;
  readonly addonHash: string;
  /** Of the cuda backend. */
  readonly arch?: string;
  readonly kernels?: readonly KernelResources[];
}

interface WrapperRecord {
  readonly source: string;
  readonly js: string;
  readonly dts: string;
}

/** A build with all that it starts from. */
interface Build extends BuildOptions {
  /** The text to compile: `files`, else the folder's own. */
  readonly texts: FileSet;
  /** Undefined without a compiler. */
  readonly compiler: string | undefined;
  readonly inputHash: string | undefined;
}

/**
 * Builds a generated folder: `addon/<backend>.node`, `addon/build.json`, `index.js`, `index.d.ts`, the generated text
 * where `files` gives it and, in a project that is not of type module, a package.json that says so of this folder.
 *
 * Nothing in the folder changes before all of it is made: the sources are compiled from a copy in the cache, the addon
 * is loaded once in a child, and everything new is written beside its place. Then it is renamed into place: the addon,
 * the wrapper, the generated text, and last build.json, without which the next build makes again what this one did not
 * finish. So a missing tool, a mistake, a full disk or an interrupt leaves the module that was there.
 * @throws EpgenToolError when a tool is missing; EpgenError EPGEN_COMPILE with the compiler's words, or EPGEN_IO.
 */
export async function buildAddon(options: BuildOptions): Promise<BuildReport> {
  const start = performance.now();
  const build = await readBuild({ ...options, generatedDir: resolve(options.generatedDir) });
  const made = (await findFinished(build)) ?? (await makeUnderLock(build));
  return {
    name: build.spec.name,
    backend: build.backend,
    ...(made.addon.arch === undefined ? {} : { arch: made.addon.arch }),
    ...(made.addon.kernels === undefined ? {} : { kernels: made.addon.kernels }),
    addonPath: addonPath(build),
    addonBytes: made.addon.addonBytes,
    compiler: made.addon.compiler,
    upToDate: !made.compiled,
    seconds: (performance.now() - start) / 1000,
    text: made.text,
  };
}

interface Made {
  readonly addon: AddonRecord;
  readonly compiled: boolean;
  readonly text: WriteReport;
}

async function readBuild(options: BuildOptions): Promise<Build> {
  const texts = options.files ?? (await readTexts(options.generatedDir));
  const compiler = await compilerIdentity(options.backend);
  const inputHash = compiler && (await hashInputs(options, texts, compiler));
  return { ...options, texts, compiler, inputHash };
}

function targetOf({ backend, arch = DEFAULT_ARCH }: BuildOptions): BuildTarget {
  return backend === 'cpu' ? { backend } : { backend, arch };
}

/** What is known of kernels that were compiled for a GPU. */
async function machineCodeOf(
  build: BuildOptions,
  objects: string,
): Promise<Pick<AddonRecord, 'arch' | 'kernels'>> {
  const target = targetOf(build);
  if (target.backend === 'cpu') return {};
  return { arch: target.arch, kernels: await readPtxasReport(objects) };
}

/** The generated text that a folder holds, as far as it is compiled. */
async function readTexts(dir: string): Promise<FileSet> {
  const names = existsSync(dir) ? (await readdir(dir)).sort() : [];
  if (!names.includes('index.ts')) {
    throw new EpgenError(`Expected a generated index.ts in ${dir} but found none`, {
      code: 'EPGEN_IO',
      hint: 'epgen generate writes it.',
    });
  }
  const wanted = names.filter((name) => isSource(name) || name === 'index.ts');
  const texts = await Promise.all(wanted.map((name) => readFile(join(dir, name), 'utf8')));
  return new Map(wanted.map((name, i) => [name, texts[i] ?? '']));
}

/** What an earlier build made, when nothing at all is left to do. */
async function findFinished(build: Build): Promise<Made | undefined> {
  const record = await readRecord(build.generatedDir);
  const addon = record[build.backend];
  if (!addon || !(await isCurrent(build, addon))) return undefined;
  const text = await compareText(build);
  const isWhole =
    text.written.length === 0 &&
    (await isWrapperCurrent(build, record.wrapper)) &&
    (await missingManifest(build.generatedDir)) === undefined;
  return isWhole ? { addon, compiled: false, text } : undefined;
}

async function compareText({ generatedDir, files }: BuildOptions): Promise<WriteReport> {
  return files === undefined ? { written: [], unchanged: [] } : compareFolder(generatedDir, files);
}

/** Makes what is missing while no other build works on this folder. */
async function makeUnderLock(build: Build): Promise<Made> {
  const { generatedDir, spec, files, onProgress = () => undefined } = build;
  const target = targetName(spec.name, generatedDir);
  return withLock(stagingFolder(generatedDir, target), onProgress, async (lost) => {
    // Whoever held the lock may have built this very folder.
    const finished = await findFinished(build);
    if (finished) return finished;

    const manifest = await missingManifest(generatedDir);
    const record = await readRecord(generatedDir);
    const old = record[build.backend];
    const fresh = old && (await isCurrent(build, old)) ? old : undefined;
    const made = fresh ? { addon: fresh, files: [] } : await compileAddon(build, target);
    const wrapper = await makeWrapper(build, record.wrapper);
    const text = await compareText(build);
    const newRecord: BuildRecord = {
      ...record,
      [build.backend]: made.addon,
      wrapper: wrapper.record,
    };
    lost.throwIfAborted();
    await installTogether([
      ...made.files,
      ...wrapper.files,
      ...(files ? filesToWrite(generatedDir, files, text) : []),
      ...(manifest ? [manifest] : []),
      { path: recordPath(generatedDir), text: `${JSON.stringify(newRecord, null, 2)}\n` },
    ]);
    return { addon: made.addon, compiled: fresh === undefined, text };
  });
}

interface MadeAddon {
  readonly addon: AddonRecord;
  readonly files: readonly NewFile[];
}

/** Compiles the addon from a copy of the sources and loads it once; the generated folder is only named. */
async function compileAddon(build: Build, target: string): Promise<MadeAddon> {
  const { generatedDir, spec, backend, texts, onProgress = () => undefined } = build;
  const toolchain = await findToolchain();
  requireTools(toolchain, backend);
  const { compiler = '', inputHash = '' } = build;
  const tree = buildTreeFor(generatedDir, targetOf(build), compiler, toolchain);
  const sources = new Map([...texts].filter(([name]) => isSource(name)));
  return withTreeLock(tree, onProgress, async (lost) => {
    const dir = await stageSources(tree, { generatedDir, target, sources });
    await prepareTarget(tree, { name: target, dir }, toolchain, onProgress);
    const built = await buildTarget(tree, target, toolchain, onProgress, lost);
    const machineCode = await machineCodeOf(build, objectFolder(tree, target));
    onProgress({ step: 'load', text: `load ${basename(built)} in a child process` });
    await smokeLoad(built, spec);
    const addonHash = sha256(await readFile(built));
    const { size: addonBytes } = await stat(built);
    return {
      addon: {
        specHash: specHash(spec),
        inputHash,
        compiler,
        addonBytes,
        addonHash,
        ...machineCode,
      },
      files: [{ path: addonPath(build), from: built }],
    };
  });
}

/** Compiles index.ts when it, or what was compiled from it, is not what build.json says. */
async function makeWrapper(
  build: Build,
  made: WrapperRecord | undefined,
): Promise<{ readonly record: WrapperRecord; readonly files: readonly NewFile[] }> {
  const { generatedDir, texts, onProgress } = build;
  if (made && (await isWrapperCurrent(build, made))) return { record: made, files: [] };
  onProgress?.({ step: 'wrapper', text: 'compile index.ts' });
  const source = texts.get('index.ts') ?? '';
  const { js, dts } = await emitWrapper(source, join(generatedDir, 'index.ts'));
  return {
    record: { source: sha256(source), js: sha256(js), dts: sha256(dts) },
    files: [
      { path: join(generatedDir, 'index.d.ts'), text: dts },
      { path: join(generatedDir, 'index.js'), text: js },
    ],
  };
}

async function isWrapperCurrent(
  { generatedDir, texts }: Build,
  made: WrapperRecord | undefined,
): Promise<boolean> {
  const [js, dts] = await Promise.all(
    ['index.js', 'index.d.ts'].map((name) => readText(join(generatedDir, name))),
  );
  return (
    made?.source === sha256(texts.get('index.ts') ?? '') &&
    made.js === sha256(js ?? '') &&
    made.dts === sha256(dts ?? '')
  );
}

/** What tells Node that index.js is an ES module, where the project around it says otherwise or nothing. */
async function missingManifest(generatedDir: string): Promise<NewFile | undefined> {
  const path = join(generatedDir, 'package.json');
  if (existsSync(path)) return undefined;
  const project = nearestFolderWith('package.json', dirname(generatedDir));
  const manifest = project ? await readManifest(join(project, 'package.json')) : undefined;
  return manifest?.value.type === 'module' ? undefined : { path, text: MODULE_MANIFEST };
}

async function isCurrent(build: Build, made: AddonRecord): Promise<boolean> {
  if (build.inputHash === undefined || made.inputHash !== build.inputHash) return false;
  const addon = await readFile(addonPath(build)).catch(() => undefined);
  return addon !== undefined && sha256(addon) === made.addonHash;
}

/** Hash of the generated text, the native sources, the compiler and the options. */
async function hashInputs(build: BuildOptions, texts: FileSet, compiler: string): Promise<string> {
  const require = createRequire(join(packageRoot(), 'package.json'));
  const api = require('node-addon-api/package.json') as { version: string };
  const hash = createHash('sha256');
  hash.update(JSON.stringify([targetOf(build), process.arch, compiler, api.version]));
  hash.update(specHash(build.spec));
  const native = join(packageRoot(), 'native');
  const names = (await readdir(native, { recursive: true }))
    .filter((name) => isSource(name) && !OTHER_BACKEND[build.backend].test(name))
    .sort();
  const contents = await Promise.all(names.map((name) => readFile(join(native, name))));
  const sources = [...texts]
    .filter(([name]) => isSource(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const all = [...names.map((name, i) => [name, contents[i] ?? ''] as const), ...sources];
  for (const [name, content] of all) {
    hash.update(`${name}\n${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

const isSource = (name: string) =>
  /\.(?:cuh?|[ch]pp|h|map|cmake|sh)$|(?:^|\/)CMakeLists\.txt$/.test(name);

/** Sources that a backend has no part in. */
const OTHER_BACKEND = {
  cpu: /(?:^|\/)cuda[_./]/,
  cuda: /^simt\/|(?:^|\/)(?:cpu[_./]|emulator_)/,
};

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
  const text = await readText(recordPath(generatedDir));
  try {
    return text === undefined ? {} : (JSON.parse(text) as BuildRecord);
  } catch {
    // A damaged record only costs a rebuild.
    return {};
  }
}

function recordPath(generatedDir: string): string {
  return join(generatedDir, 'addon', 'build.json');
}

async function readText(path: string): Promise<string | undefined> {
  return existsSync(path) ? readFile(path, 'utf8') : undefined;
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
