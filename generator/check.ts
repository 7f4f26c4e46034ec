import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { EpgenError } from './errors.js';
import { generate } from './generate.js';
import { parseSpec, type Spec, specHash } from './spec.js';

export interface DriftProblem {
  /** Absolute path. */
  readonly path: string;
  readonly kind: 'changed' | 'missing' | 'stray' | 'unreadable';
  /** From what is on disk to what should be there; or why a file is unreadable. */
  readonly diff?: string;
}

export interface DriftReport {
  /** Absolute paths of the folders looked at. */
  readonly folders: readonly string[];
  readonly problems: readonly DriftProblem[];
}

/** What `build` adds to a folder and git ignores. */
const BUILD_OUTPUTS: ReadonlySet<string> = new Set([
  'index.js',
  'index.d.ts',
  'package.json',
  'addon',
]);

/** Renders a generated folder again from its own spec.json and lists every file that differs. */
export async function checkFolder(dir: string): Promise<DriftReport> {
  const folder = resolve(dir);
  const read = await readSpecJson(folder);
  if ('problem' in read) return { folders: [folder], problems: [read.problem] };

  const files = generate(read.spec);
  const problems: DriftProblem[] = [];
  for (const [name, text] of files) {
    const problem = await compareFile(join(folder, name), text);
    if (problem) problems.push(problem);
  }
  for (const path of await filesUnder(folder)) {
    if (!files.has(relative(folder, path))) problems.push({ path, kind: 'stray' });
  }
  return { folders: [folder], problems };
}

/**
 * Checks every folder of `generated/` under `root`, and that each `specs/*.spec.ts` is what its folder was generated
 * from. Everything found is listed at once.
 */
export async function checkAll(
  root: string,
  loadSpec: (path: string) => Promise<Spec> = loadSpecFile,
): Promise<DriftReport> {
  const generated = resolve(root, 'generated');
  const entries = await readdir(generated, { withFileTypes: true }).catch(() => []);
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(generated, entry.name));
  const reports: DriftReport[] = [];
  for (const folder of folders.sort()) reports.push(await checkFolder(folder));
  const strays = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry): DriftProblem => ({ path: join(generated, entry.name), kind: 'stray' }));
  return {
    folders,
    problems: [
      ...reports.flatMap((report) => report.problems),
      ...strays.sort((a, b) => (a.path < b.path ? -1 : 1)),
      ...(await specProblems(resolve(root, 'specs'), generated, loadSpec)),
    ],
  };
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
  const names = await readdir(specs).catch(() => []);
  const problems: DriftProblem[] = [];
  for (const name of names.filter((one) => one.endsWith('.spec.ts')).sort()) {
    const problem = await specProblem(join(specs, name), generated, loadSpec);
    if (problem) problems.push(problem);
  }
  return problems;
}

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
    if (!(error instanceof EpgenError)) throw error;
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

/** Every file of a generated folder but what `build` adds. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries) {
    if (BUILD_OUTPUTS.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const inside = await readdir(path, { withFileTypes: true, recursive: true });
      files.push(
        ...inside.filter((one) => !one.isDirectory()).map((one) => join(one.parentPath, one.name)),
      );
    } else {
      files.push(path);
    }
  }
  return files.sort();
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
