import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import type { TreeTarget } from './build-target.js';
import { EpgenError } from './errors.js';
import { replaceFile } from './install-file.js';
import { withLock } from './lock.js';
import { cacheFolder, packageRoot } from './paths.js';
import { keepStaged } from './staging.js';
import type { Toolchain } from './toolchain.js';

/** What a build is doing now; `done` of `total` steps where the build tool counts them. */
export interface BuildProgress {
  readonly step: 'wait' | 'wrapper' | 'configure' | 'compile' | 'load';
  readonly text: string;
  readonly done?: number;
  readonly total?: number;
}

export type OnProgress = (progress: BuildProgress) => void;

/** A CMake build folder, shared by every spec of a project: one target each. */
export interface BuildTree {
  readonly dir: string;
  readonly nativeDir: string;
  readonly specsFile: string;
  readonly target: TreeTarget;
}

const CONFIG = 'Release';

/** Children must not pay for, or depend on, the parent's certificate settings. */
export const CHILD_ENV = { NODE_EXTRA_CA_CERTS: undefined };

/**
 * The tree for `generatedDir`: one per backend and architecture, machine, configuration and set of options. Tools are
 * told apart by where they really lie too: compilers behind different wrappers print one version, and CMake forgets all
 * it was told when the compiler of a tree changes.
 * @throws EpgenError EPGEN_IO where CMake could not take the path
 */
export function buildTreeFor(
  generatedDir: string,
  target: TreeTarget,
  compiler: string,
  { compiler: cxx, cmake, generator, nvcc }: Toolchain,
): BuildTree {
  const nativeDir = join(packageRoot(), 'native');
  const tools = [cxx, cmake, ...(target.backend === 'cuda' ? [nvcc] : [])];
  const key = [nativeDir, compiler, ...tools.map(({ path }) => realPath(path)), generator.name];
  const options = createHash('sha256').update(key.join('\n')).digest('hex');
  const kind = target.backend === 'cuda' ? `cuda-${target.arch}` : target.backend;
  const name = `${kind}-${process.arch}-${CONFIG.toLowerCase()}-${options.slice(0, 8)}`;
  const cache = cacheFolder(generatedDir, process.cwd());
  requireCMakePath(cache, 'Set EPGEN_CACHE_DIR to a folder without them.');
  requireCMakePath(nativeDir, 'Install epgen in a folder without them.');
  const dir = join(cache, 'build', name);
  return { dir, nativeDir, specsFile: join(dir, 'specs.cmake'), target };
}

function realPath(path = ''): string {
  return path && realpathSync(path);
}

/** CMake reads these as its own syntax, or hands them to build tools that do. */
const CMAKE_SYNTAX = /["$;[\\\]\n]/g;

function requireCMakePath(path: string, hint: string): void {
  const found = [...new Set(path.match(CMAKE_SYNTAX))];
  if (found.length === 0) return;
  throw new EpgenError(
    `Expected a build path without " $ ; [ \\ ] for CMake but received ${found.join(' ')} in ${path}`,
    { code: 'EPGEN_IO', hint },
  );
}

/** Target of a generated folder: two folders of one project may hold specs of one name. */
export function targetName(specName: string, generatedDir: string): string {
  return `${specName}_${createHash('sha256').update(generatedDir).digest('hex').slice(0, 8)}`;
}

/** Runs `work` while no other process uses the tree. */
export async function withTreeLock<T>(
  tree: BuildTree,
  onProgress: OnProgress,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  return withLock(tree.dir, onProgress, work);
}

export interface Target {
  readonly name: string;
  /** Folder of its sources, absolute. */
  readonly dir: string;
}

/** Makes `target` one of the tree's targets and configures the tree where that changes anything. */
export async function prepareTarget(
  tree: BuildTree,
  target: Target,
  toolchain: Toolchain,
  onProgress: OnProgress,
): Promise<void> {
  const listed = await listOthers(tree, target);
  try {
    await writeTargets(tree, new Map(listed).set(target.name, target.dir));
    await configure(tree, toolchain, onProgress);
  } catch (error) {
    if (listed.size === 0) throw error;
    // A damaged folder elsewhere in the project must not stop this build.
    await writeTargets(tree, new Map([[target.name, target.dir]]));
    await configure(tree, toolchain, onProgress);
  }
}

/** Name to folder of sources of the other targets listed so far, as far as their generated folder still exists. */
async function listOthers(tree: BuildTree, target: Target): Promise<Map<string, string>> {
  const targets = new Map<string, string>();
  const old = await readFile(tree.specsFile, 'utf8').catch(() => '');
  for (const [, name, dir] of old.matchAll(/^epgen_spec\((\S+) \[==\[(.*)\]==\]\)$/gm)) {
    // A first build that failed has left the target itself listed, and no generated folder yet.
    if (!name || !dir || name === target.name) continue;
    if (await keepStaged(dir)) targets.set(name, dir);
  }
  return targets;
}

async function writeTargets(tree: BuildTree, targets: ReadonlyMap<string, string>): Promise<void> {
  const lines = [...targets].sort().map(([name, dir]) => `epgen_spec(${name} [==[${dir}]==])`);
  const text = `# Written by epgen build: one target per generated folder.\n${lines.join('\n')}\n`;
  const old = await readFile(tree.specsFile, 'utf8').catch(() => '');
  if (text !== old) await replaceFile(tree.specsFile, text);
}

/** Configures the tree through cmake-js, unless nothing that decides its content has changed. */
async function configure(
  tree: BuildTree,
  toolchain: Toolchain,
  onProgress: OnProgress,
): Promise<void> {
  const args = [
    cmakeJsPath(),
    'configure',
    ...['-d', tree.nativeDir, '-O', tree.dir, '-B', CONFIG, '-l', 'warn'],
    ...['-G', toolchain.generator.name === 'ninja' ? 'Ninja' : 'Unix Makefiles'],
    ...['-c', toolchain.cmake.path ?? 'cmake', '--cxx', toolchain.compiler.path ?? 'g++'],
    `--CDEPGEN_SPECS_FILE=${tree.specsFile}`,
    ...backendArgs(tree.target, toolchain),
  ];
  const specs = await readFile(tree.specsFile, 'utf8');
  const head = JSON.stringify({ args, cmake: toolchain.cmake.version, node: process.version });
  const stamp = `${head}\n${specs}`;
  const configured = existsSync(join(tree.dir, 'CMakeCache.txt'));
  const old = await readFile(stampFile(tree), 'utf8').catch(() => '');
  if (configured && old === stamp) return;

  onProgress({ step: 'configure', text: `configure ${basename(tree.dir)}` });
  // CMake keeps answers of the old tools, and starts over without our options when the compiler changes.
  if (old.split('\n', 1)[0] !== head) await forgetConfiguration(tree);
  const result = await execa(process.execPath, args, {
    cwd: tree.nativeDir,
    env: CHILD_ENV,
    all: true,
    reject: false,
  });
  if (result.failed) throw buildFailure('CMake could not configure the build', result.all);
  await writeFile(stampFile(tree), stamp);
}

function stampFile(tree: BuildTree): string {
  return join(tree.dir, 'configured.txt');
}

/** As `cmake --fresh`, which older versions don't have. */
async function forgetConfiguration(tree: BuildTree): Promise<void> {
  await rm(join(tree.dir, 'CMakeCache.txt'), { force: true });
  await rm(join(tree.dir, 'CMakeFiles'), { recursive: true, force: true });
}

/** Has the next build configure the tree again; its first line stays, so that compiled objects do too. */
async function dropStamp(tree: BuildTree): Promise<void> {
  const old = await readFile(stampFile(tree), 'utf8').catch(() => '');
  // On a full disk the stamp goes altogether.
  await writeFile(stampFile(tree), `${old.split('\n', 1)[0]}\n`).catch(() =>
    rm(stampFile(tree), { force: true }),
  );
}

function backendArgs(target: TreeTarget, { nvcc, compiler }: Toolchain): readonly string[] {
  if (target.backend !== 'cuda') return [`--CDEPGEN_BACKEND=${target.backend}`];
  return [
    '--CDEPGEN_BACKEND=cuda',
    `--CDEPGEN_CUDA_ARCH=${target.arch.replace(/^sm_/, '')}`,
    `--CDCMAKE_CUDA_COMPILER=${nvcc.path ?? 'nvcc'}`,
    `--CDCMAKE_CUDA_HOST_COMPILER=${compiler.path ?? 'g++'}`,
  ];
}

function cmakeJsPath(): string {
  const require = createRequire(join(packageRoot(), 'package.json'));
  return join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
}

/** Where the objects of a target lie, and what the compiler said of them. */
export function objectFolder(tree: BuildTree, target: string): string {
  return join(tree.dir, 'CMakeFiles', `${target}.dir`);
}

/** Builds one target and returns the path of its addon or verifier; `lost` stops the compilers. */
export async function buildTarget(
  tree: BuildTree,
  target: string,
  toolchain: Toolchain,
  onProgress: OnProgress,
  lost?: AbortSignal,
): Promise<string> {
  const jobs = String(availableParallelism());
  const args = ['--build', tree.dir, '--config', CONFIG, '--target', target, '--parallel', jobs];
  const child = execa(toolchain.cmake.path ?? 'cmake', args, {
    env: { ...CHILD_ENV, NINJA_STATUS: '[%f/%t] ' },
    all: true,
    reject: false,
    // A group of its own, so that stopping it stops the compilers that it has started.
    detached: true,
  });
  const stop = () => stopGroup(child.pid);
  process.once('exit', stop);
  lost?.addEventListener('abort', stop);
  try {
    for await (const line of child.iterable({ from: 'all' })) {
      const progress = progressOf(line);
      if (progress) onProgress(progress);
    }
  } finally {
    process.off('exit', stop);
    lost?.removeEventListener('abort', stop);
  }
  const result = await child;
  lost?.throwIfAborted();
  if (result.failed) {
    await dropStamp(tree);
    throw buildFailure(`Compiling ${target} failed`, result.all);
  }
  return join(tree.dir, CONFIG, tree.target.backend === 'verify' ? target : `${target}.node`);
}

function stopGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

/** Reads `[3/12] Building CXX object a/b.cpp.o` (ninja) and `[ 25%] Building ...` (make). */
function progressOf(line: string): BuildProgress | undefined {
  const match = /^\[\s*(\d+)(?:\/(\d+)|%)\] (\w+) .*?([^/\s]+)$/.exec(line);
  if (!match) return undefined;
  const [, done, total, verb, file] = match;
  const text = `${verb === 'Linking' ? 'link' : 'compile'} ${file?.replace(/\.o$/, '')}`;
  return { step: 'compile', text, done: Number(done), total: total ? Number(total) : 100 };
}

const MAX_EVIDENCE_LINES = 60;

/** The compiler's own words, from its first complaint on. */
function buildFailure(summary: string, output: string | undefined): EpgenError {
  const text = output ?? '';
  if (/No space left on device|Disk quota exceeded/.test(text)) {
    return new EpgenError(`${summary}: no space left on the device of the build folder`, {
      code: 'EPGEN_IO',
      cause: Object.assign(new Error(text), { code: 'ENOSPC' }),
      hint: 'Free some space, or set EPGEN_CACHE_DIR to a folder on another device.',
    });
  }
  const lines = text.split('\n').filter((line) => !/^\[[\d/%\s]+\]/.test(line));
  const first = Math.max(
    0,
    lines.findIndex((line) => /^FAILED:|\berror\b|CMake Error/i.test(line)),
  );
  const shown = lines
    .slice(first, first + MAX_EVIDENCE_LINES)
    .join('\n')
    .trim();
  return new EpgenError(`${summary}:\n${shown}`, { code: 'EPGEN_COMPILE' });
}
