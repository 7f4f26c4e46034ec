import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import type { BuildTree } from './build-tree.js';
import type { FileSet } from './file-set.js';
import { makeFolder, replaceFile } from './install-file.js';
import { cacheFolder } from './paths.js';

/**
 * Where the sources of a generated folder are compiled: beside the build trees, not in one, since ccache would name
 * files in a tree by relative paths, which the compiler's path mapping does not know.
 */
export function stagingFolder(generatedDir: string, target: string): string {
  return join(cacheFolder(generatedDir, process.cwd()), 'staging', target);
}

/** Names the generated folder, so that a tree can forget targets whose folder is gone. */
const ORIGIN = 'origin';

/**
 * Brings the copy of a folder's sources that `tree` compiles to the given text. Equal files are left alone: their
 * times decide what is compiled again.
 */
export async function stageSources(
  tree: BuildTree,
  { generatedDir, target, sources }: { generatedDir: string; target: string; sources: FileSet },
): Promise<string> {
  const folder = stagingFolder(generatedDir, target);
  const dir = await makeFolder(join(folder, basename(tree.dir)));
  const wanted = new Map([...sources, [ORIGIN, generatedDir]]);
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !wanted.has(relative(dir, path))) await rm(path, { force: true });
  }
  for (const [name, text] of wanted) {
    const path = join(dir, name);
    const old = await readFile(path, 'utf8').catch(() => undefined);
    if (old !== text) await replaceFile(path, text);
  }
  return dir;
}

/** Whether staged sources still belong to a generated folder; those that don't are removed. */
export async function keepStaged(dir: string): Promise<boolean> {
  const origin = await readFile(join(dir, ORIGIN), 'utf8').catch(() => undefined);
  if (origin !== undefined && existsSync(origin)) return true;
  // The tree of an older epgen lists the generated folders themselves: those are not ours to remove.
  if (origin !== undefined) await rm(dir, { recursive: true, force: true });
  return false;
}
