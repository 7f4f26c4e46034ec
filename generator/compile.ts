import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { addonPath, readRecord, recordFile, sha256 } from './build-record.js';
import { type BuildTarget, DEFAULT_ARCH } from './build-target.js';
import { type BuildProgress, targetName } from './build-tree.js';
import { compileAddon, type MadeAddon, type Part } from './compile-addon.js';
import { EpgenError } from './errors.js';
import type { FileSet } from './file-set.js';
import { hashInputs, isSource } from './input-hash.js';
import { installTogether } from './install-file.js';
import { withLock } from './lock.js';
import { isWrapperCurrent, makeWrapper, missingManifest } from './module-files.js';
import { compareFolder, filesToWrite, type WriteReport } from './output.js';
import type { KernelResources } from './ptxas-report.js';
import type { Spec } from './spec.js';
import { stagingFolder } from './staging.js';
import { compilerIdentity, findToolchain, requireTools } from './toolchain.js';

interface FolderOptions {
  /** A folder that generateTo has written, or the folder for `files`. */
  readonly generatedDir: string;
  /** Text that the folder shall hold: it appears together with its addons. Left out: what the folder holds. */
  readonly files?: FileSet;
  readonly spec: Spec;
  /** `backend` is the one that is being built. */
  onProgress?(progress: BuildProgress, backend: BuildTarget['backend']): void;
}

export interface BuildOptions extends FolderOptions {
  readonly targets: readonly BuildTarget[];
}

export interface AddonOptions extends FolderOptions {
  readonly backend: BuildTarget['backend'];
  /** What CUDA kernels are compiled for. Default: `sm_90a`. */
  readonly arch?: string | undefined;
}

/** What a build made for one backend, or found already made. */
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
  /** Wall time that this backend took of this build, not of the one that made the addon. */
  readonly seconds: number;
  /** What became of `files`. */
  readonly text: WriteReport;
}

/** A build with all that it starts from. */
interface Build extends Omit<BuildOptions, 'targets'> {
  /** The text to compile: `files`, else the folder's own. */
  readonly texts: FileSet;
  readonly parts: readonly Part[];
  onProgress(progress: BuildProgress, backend: BuildTarget['backend']): void;
}

/** buildAddons of one backend. */
export async function buildAddon({
  backend,
  arch = DEFAULT_ARCH,
  ...options
}: AddonOptions): Promise<BuildReport> {
  const target = backend === 'cpu' ? { backend } : { backend, arch };
  const [report] = await buildAddons({ ...options, targets: [target] });
  return report as BuildReport;
}

/**
 * Builds a generated folder: `addon/<backend>.node`, `addon/build.json`, `index.js`, `index.d.ts`, the generated text
 * where `files` gives it and, in a project that is not of type module, a package.json that says so of this folder.
 * Returns one report a target, in order.
 *
 * Nothing in the folder changes before all of it is made, for every target: the sources are compiled from a copy in
 * the cache, each addon is loaded once in a child, and everything new is written beside its place. Then it is renamed
 * into place: the addons, the wrapper, the generated text, and last build.json, without which the next build makes
 * again what this one did not finish. So a missing tool, a mistake, a full disk or an interrupt leaves the module that
 * was there.
 * @throws EpgenToolError when a tool is missing; EpgenError EPGEN_COMPILE with the compiler's words, or EPGEN_IO.
 */
export async function buildAddons(options: BuildOptions): Promise<readonly BuildReport[]> {
  const start = performance.now();
  const build = await readBuild({ ...options, generatedDir: resolve(options.generatedDir) });
  const made = (await findFinished(build)) ?? (await makeUnderLock(build));
  const seconds = (performance.now() - start) / 1000;
  const compiling = made.addons.reduce((sum, addon) => sum + addon.seconds, 0);
  return made.addons.map(({ record, upToDate, ...addon }, i) => ({
    name: build.spec.name,
    backend: addon.backend,
    ...(record.arch === undefined ? {} : { arch: record.arch }),
    ...(record.kernels === undefined ? {} : { kernels: record.kernels }),
    addonPath: addonPath(build.generatedDir, addon.backend),
    addonBytes: record.addonBytes,
    compiler: record.compiler,
    upToDate,
    // What is done once for all backends counts as the first one's.
    seconds: i === 0 ? seconds - compiling + addon.seconds : addon.seconds,
    text: made.text,
  }));
}

interface Made {
  readonly addons: readonly MadeAddon[];
  readonly text: WriteReport;
}

async function readBuild({ targets, ...options }: BuildOptions): Promise<Build> {
  const { spec, generatedDir, files, onProgress = () => undefined } = options;
  const texts = files ?? (await readTexts(generatedDir));
  const parts = targets.map(async (target) => {
    const compiler = await compilerIdentity(target.backend);
    const inputHash = compiler && (await hashInputs({ target, spec, texts, compiler }));
    return { target, compiler, inputHash };
  });
  return { ...options, texts, parts: await Promise.all(parts), onProgress };
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
  const { wrapper } = await readRecord(build.generatedDir);
  const addons = await Promise.all(build.parts.map((part) => findAddon(build, part)));
  if (!addons.every((addon) => addon !== undefined)) return undefined;
  const text = await compareText(build);
  const isWhole =
    text.written.length === 0 &&
    (await isWrapperCurrent(build, wrapper)) &&
    (await missingManifest(build.generatedDir)) === undefined;
  return isWhole ? { addons, text } : undefined;
}

/** The addon of an earlier build, where it is what this one would make. */
async function findAddon(
  { generatedDir }: Build,
  { target: { backend }, inputHash }: Part,
): Promise<MadeAddon | undefined> {
  const record = (await readRecord(generatedDir))[backend];
  if (!record || inputHash === undefined || record.inputHash !== inputHash) return undefined;
  const addon = await readFile(addonPath(generatedDir, backend)).catch(() => undefined);
  if (addon === undefined || sha256(addon) !== record.addonHash) return undefined;
  return { backend, record, upToDate: true, seconds: 0, files: [] };
}

async function compareText({ generatedDir, files }: Build): Promise<WriteReport> {
  return files === undefined ? { written: [], unchanged: [] } : compareFolder(generatedDir, files);
}

/** Makes what is missing while no other build works on this folder. */
async function makeUnderLock(build: Build): Promise<Made> {
  const { generatedDir, spec, files, parts } = build;
  const [first] = parts;
  const say = (progress: BuildProgress) =>
    build.onProgress(progress, first?.target.backend ?? 'cpu');
  const target = targetName(spec.name, generatedDir);
  return withLock(stagingFolder(generatedDir, target), say, async (lost) => {
    // Whoever held the lock may have built this very folder.
    const finished = await findFinished(build);
    if (finished) return finished;

    const manifest = await missingManifest(generatedDir);
    const record = await readRecord(generatedDir);
    const addons = await makeAddons(build, target);
    const wrapper = await makeWrapper(build, record.wrapper, say);
    const text = await compareText(build);
    const records = Object.fromEntries(addons.map((addon) => [addon.backend, addon.record]));
    lost.throwIfAborted();
    await installTogether([
      ...addons.flatMap((addon) => addon.files),
      ...wrapper.files,
      ...(files ? filesToWrite(generatedDir, files, text) : []),
      ...(manifest ? [manifest] : []),
      recordFile(generatedDir, { ...record, ...records, wrapper: wrapper.record }),
    ]);
    return { addons, text };
  });
}

/** Every addon of the build, compiled where the folder's own is not what this build would make. */
async function makeAddons(build: Build, name: string): Promise<readonly MadeAddon[]> {
  const found = await Promise.all(build.parts.map((part) => findAddon(build, part)));
  const missing = build.parts.filter((_, i) => found[i] === undefined);
  if (missing.length === 0) return found.filter((addon) => addon !== undefined);
  const toolchain = await findToolchain();
  // All before the first minute of compiling.
  for (const { target } of missing) requireTools(toolchain, target.backend);
  const addons: MadeAddon[] = [];
  for (const [i, part] of build.parts.entries()) {
    addons.push(found[i] ?? (await compileAddon(part, { ...build, name, toolchain })));
  }
  return addons;
}
