import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { EpgenError, type ErrorCode } from './errors.js';
import { generate } from './generate.js';
import { ioError } from './io-error.js';
import { GENERATED_FOLDER, SPEC_FOLDER } from './paths.js';
import { MODULE_MANIFEST } from './project-manifest.js';
import { parseSpec, type Spec, specHash } from './spec.js';

export interface DriftProblem {
  /** Absolute path. */
  readonly path: string;
  readonly kind: 'changed' | 'missing' | 'stray' | 'unreadable' | 'misnamed';
  /** From what is on disk to what should be there; or why a file is unreadable or a folder misnamed. */
  readonly diff?: string;
}

export interface DriftReport {
  /** Absolute paths of the folders looked at. */
  readonly folders: readonly string[];
  readonly problems: readonly DriftProblem[];
}

/** What `build` adds to a folder and git ignores. */
const BUILD_OUTPUTS: ReadonlySet<string> = new Set(['index.js', 'index.d.ts', 'addon']);
const MANIFEST = 'package.json';

/** Renders a generated folder again from its own spec.json and lists every file that differs. */
export async function checkFolder(dir: string): Promise<DriftReport> {
  const folder = resolve(dir);
  return { folders: [folder], problems: (await examine(folder)).problems };
}

interface Examined {
  /** Undefined where spec.json can't be read. */
  readonly spec?: Spec;
  readonly problems: readonly DriftProblem[];
}

async function examine(folder: string): Promise<Examined> {
  const read = await readSpecJson(folder);
  if ('problem' in read) return { problems: [read.problem] };

  const files = generate(read.spec);
  const problems: DriftProblem[] = [];
  for (const [name, text] of files) {
    const problem = await compareFile(join(folder, name), text);
    if (problem) problems.push(problem);
  }
  for (const path of await filesUnder(folder)) {
    const name = relative(folder, path);
    // A build adds it where the project is not of type module.
    const problem =
      name === MANIFEST
        ? await compareFile(path, MODULE_MANIFEST)
        : { path, kind: 'stray' as const };
    if (problem && !files.has(name)) problems.push(problem);
  }
  return { spec: read.spec, problems };
}

/** A folder of generated/ is found by the name of its spec: a copy under another name is nobody's. */
async function examineNamed(folder: string): Promise<readonly DriftProblem[]> {
  const { spec, problems } = await examine(folder);
  if (spec === undefined || spec.name === basename(folder)) return problems;
  const diff = `Expected the output of ${basename(folder)} but it holds that of ${spec.name}`;
  return [{ path: folder, kind: 'misnamed', diff }, ...problems];
}

/**
 * Checks every folder of `generated/` under `root`, and that each `specs/*.spec.ts` is what its folder was generated
 * from. Everything found is listed at once.
 */
export async function checkAll(
  root: string,
  loadSpec: (path: string) => Promise<Spec> = loadSpecFile,
): Promise<DriftReport> {
  const generated = resolve(root, GENERATED_FOLDER);
  const entries = await readdir(generated, { withFileTypes: true }).catch(noneIfAbsent);
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(generated, entry.name));
  const found: DriftProblem[] = [];
  for (const folder of folders.sort()) found.push(...(await examineNamed(folder)));
  const strays = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry): DriftProblem => ({ path: join(generated, entry.name), kind: 'stray' }));
  return {
    folders,
    problems: [
      ...found,
      ...strays.sort((a, b) => (a.path < b.path ? -1 : 1)),
      ...(await specProblems(resolve(root, SPEC_FOLDER), generated, loadSpec)),
    ],
  };
}

/** A project need not have the folder; one that can't be read must not pass. */
function noneIfAbsent(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOENT') return [];
  throw ioError('read', error.path ?? 'a folder', error);
}

async function loadSpecFile(path: string): Promise<Spec> {
  const { loadSpec } = await import('./load-spec.js');
  return loadSpec(path);
}

async function specProblems(
  specs: string,
  generated: string,
  loadSpec: (path: string) => Promise<Spec>,
): Promise<DriftProblem[]> {
  const names = await readdir(specs).catch(noneIfAbsent);
  const problems: DriftProblem[] = [];
  for (const name of names.filter((one) => one.endsWith('.spec.ts')).sort()) {
    const problem = await specProblem(join(specs, name), generated, loadSpec);
    if (problem) problems.push(problem);
  }
  return problems;
}

const SPEC_FAULTS: ReadonlySet<ErrorCode> = new Set(['EPGEN_SPEC', 'EPGEN_UNSUPPORTED']);

/** Whether the folder of a spec file is absent, or was generated from other fields. */
async function specProblem(
  path: string,
  generated: string,
  loadSpec: (path: string) => Promise<Spec>,
): Promise<DriftProblem | undefined> {
  let spec: Spec;
  try {
    spec = await loadSpec(path);
  } catch (error) {
    // A full cache, say, tells nothing about the spec.
    if (!(error instanceof EpgenError) || !SPEC_FAULTS.has(error.code)) throw error;
    return { path, kind: 'unreadable', diff: error.message };
  }
  const specJson = join(generated, spec.name, 'spec.json');
  if (!(await exists(specJson))) return { path: join(generated, spec.name), kind: 'missing' };
  const read = await readSpecJson(join(generated, spec.name));
  // A spec.json that can't be read is listed with its folder.
  if ('problem' in read || specHash(read.spec) === specHash(spec)) return undefined;
  const diff = await diffOf({ path: specJson, onDisk: json(read.spec), wanted: json(spec) });
  return { path: specJson, kind: 'changed', diff };
}

async function readSpecJson(
  folder: string,
): Promise<{ readonly spec: Spec } | { readonly problem: DriftProblem }> {
  const path = join(folder, 'spec.json');
  if (!(await exists(path))) return { problem: { path, kind: 'missing' } };
  try {
    return { spec: parseSpec(JSON.parse(await readFile(path, 'utf8')), path) };
  } catch (error) {
    return {
      problem: {
        path,
        kind: 'unreadable',
        diff: error instanceof Error ? error.message : String(error),
      },
    };
  }
}

async function compareFile(path: string, wanted: string): Promise<DriftProblem | undefined> {
  let onDisk: string;
  try {
    onDisk = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { path, kind: 'missing' };
    return { path, kind: 'unreadable', diff: (error as Error).message };
  }
  if (onDisk === wanted) return undefined;
  return { path, kind: 'changed', diff: await diffOf({ path, onDisk, wanted }) };
}

/** Lines that go from the disk are marked -, lines that should be there +. */
async function diffOf(input: { path: string; onDisk: string; wanted: string }): Promise<string> {
  const { createTwoFilesPatch } = await import('diff');
  const name = basename(input.path);
  return createTwoFilesPatch(`${name} (on disk)`, `${name} (rendered)`, input.onDisk, input.wanted);
}

/** Every file of a generated folder but what `build` adds, and every folder that holds none. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries) {
    if (!BUILD_OUTPUTS.has(entry.name)) files.push(...(await leavesOf(entry)));
  }
  return files.sort();
}

async function leavesOf(entry: Dirent): Promise<string[]> {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isDirectory()) return [path];
  const inside = await readdir(path, { withFileTypes: true });
  const leaves = await Promise.all(inside.map(leavesOf));
  return inside.length === 0 ? [path] : leaves.flat();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
