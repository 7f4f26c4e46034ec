import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { lock } from 'proper-lockfile';
import { EpgenError } from './errors.js';
import { makeFolder, replaceFile } from './install-file.js';
import { cacheFolder, packageRoot } from './paths.js';
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
}

const CONFIG = 'Release';

/** Children must not pay for, or depend on, the parent's certificate settings. */
export const CHILD_ENV = { NODE_EXTRA_CA_CERTS: undefined };

/** The tree for `generatedDir`: one per backend, machine, configuration and set of options. */
export function buildTreeFor(generatedDir: string, backend: 'cpu', compiler: string): BuildTree {
  const nativeDir = join(packageRoot(), 'native');
  const options = createHash('sha256').update(`${nativeDir}\n${compiler}`).digest('hex');
  const name = `${backend}-${process.arch}-${CONFIG.toLowerCase()}-${options.slice(0, 8)}`;
  const dir = join(cacheFolder(generatedDir, process.cwd()), 'build', name);
  return { dir, nativeDir, specsFile: join(dir, 'specs.cmake') };
}

/** Target of a generated folder: two folders of one project may hold specs of one name. */
export function targetName(specName: string, generatedDir: string): string {
  return `${specName}_${createHash('sha256').update(generatedDir).digest('hex').slice(0, 8)}`;
}

/** Runs `work` while no other process uses the tree. */
export async function withTreeLock<T>(
  tree: BuildTree,
  onProgress: OnProgress,
  work: () => Promise<T>,
): Promise<T> {
  await makeFolder(tree.dir);
  const release = await acquire(tree.dir, onProgress);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquire(dir: string, onProgress: OnProgress): Promise<() => Promise<void>> {
  const once = { stale: 15_000, update: 5_000 };
  try {
    return await lock(dir, once);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
  }
  onProgress({ step: 'wait', text: 'another epgen build uses this build folder' });
  return lock(dir, { ...once, retries: { retries: 7200, minTimeout: 100, maxTimeout: 250 } });
}

export interface Target {
  readonly name: string;
  /** Generated folder, absolute. */
  readonly dir: string;
}

/** Makes `target` one of the tree's targets and configures the tree where that changes anything. */
export async function prepareTarget(
  tree: BuildTree,
  target: Target,
  toolchain: Toolchain,
  onProgress: OnProgress,
): Promise<void> {
  const listed = await listTargets(tree);
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

/** Name to folder of the targets listed so far whose folder still exists. */
async function listTargets(tree: BuildTree): Promise<Map<string, string>> {
  const targets = new Map<string, string>();
  const old = await readFile(tree.specsFile, 'utf8').catch(() => '');
  for (const [, name, dir] of old.matchAll(/^epgen_spec\((\S+) \[==\[(.*)\]==\]\)$/gm)) {
    if (name && dir && existsSync(join(dir, 'launch.cpp'))) targets.set(name, dir);
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
  ];
  const specs = await readFile(tree.specsFile, 'utf8');
  const stamp = `${JSON.stringify({ args, cmake: toolchain.cmake.version, node: process.version })}\n${specs}`;
  const stampFile = join(tree.dir, 'configured.txt');
  const configured = existsSync(join(tree.dir, 'CMakeCache.txt'));
  if (configured && (await readFile(stampFile, 'utf8').catch(() => '')) === stamp) return;

  onProgress({ step: 'configure', text: `configure ${basename(tree.dir)}` });
  const result = await execa(process.execPath, args, {
    cwd: tree.nativeDir,
    env: CHILD_ENV,
    all: true,
    reject: false,
  });
  if (result.failed) throw buildFailure('CMake could not configure the build', result.all);
  await writeFile(stampFile, stamp);
}

function cmakeJsPath(): string {
  const require = createRequire(join(packageRoot(), 'package.json'));
  return join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
}

/** Builds one target and returns the path of its addon. */
export async function buildTarget(
  tree: BuildTree,
  target: string,
  toolchain: Toolchain,
  onProgress: OnProgress,
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
  try {
    for await (const line of child.iterable({ from: 'all' })) {
      const progress = progressOf(line);
      if (progress) onProgress(progress);
    }
  } finally {
    process.off('exit', stop);
  }
  const result = await child;
  if (result.failed) throw buildFailure(`Compiling ${target} failed`, result.all);
  return join(tree.dir, CONFIG, `${target}.node`);
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
  if (/No space left on device/.test(text)) {
    return new EpgenError(`${summary}: no space left on the device of the build folder`, {
      code: 'EPGEN_IO',
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
