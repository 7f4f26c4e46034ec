import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a project keeps its specs, and what becomes of them. */
export const SPEC_FOLDER = 'specs';
export const GENERATED_FOLDER = 'generated';

/** The folder itself and every folder above it, nearest first. */
function* foldersUp(from: string): Generator<string> {
  let folder = resolve(from);
  while (true) {
    yield folder;
    const parent = dirname(folder);
    if (parent === folder) return;
    folder = parent;
  }
}

/** Absolute path of the nearest folder at or above `from` that holds `name`, if any. */
export function nearestFolderWith(name: string, from: string): string | undefined {
  for (const folder of foldersUp(from)) {
    if (existsSync(join(folder, name))) return folder;
  }
  return undefined;
}

let cachedRoot: string | undefined;

/** Root folder of the running epgen package, whether it runs from sources, dist/ or the bundle. */
export function packageRoot(): string {
  cachedRoot ??= findPackageRoot();
  return cachedRoot;
}

function findPackageRoot(): string {
  for (const folder of foldersUp(dirname(fileURLToPath(import.meta.url)))) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string };
    if (name === 'epgen') return folder;
  }
  throw new Error(`Expected a package.json named epgen above ${import.meta.url} but found none`);
}

/**
 * Where compiled specs and build trees live: EPGEN_CACHE_DIR, else the nearest node_modules above
 * the first of `starts` that has one, else the user's cache folder.
 */
export function cacheFolder(...starts: readonly string[]): string {
  const chosen = process.env.EPGEN_CACHE_DIR;
  if (chosen) return resolve(chosen);
  for (const start of starts) {
    const folder = nearestFolderWith('node_modules', start);
    if (folder) return join(folder, 'node_modules', '.cache', 'epgen');
  }
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'epgen');
}
