import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ioError } from './io-error.js';

/**
 * Creates a folder and what lacks above it. Not by mkdir's own recursion, which hides the reason on a file system
 * that is read-only or out of inodes.
 * @returns the folders that are new, and so the caller's to remove again, innermost first.
 * @throws EpgenError EPGEN_IO
 */
export function createFolder(dir: string, hint?: string): readonly string[] {
  try {
    mkdirSync(dir);
    return [dir];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && isFolder(dir)) return [];
    const parent = dirname(dir);
    if (code !== 'ENOENT' || parent === dir || isFolder(parent)) {
      throw ioError('create', dir, error, hint);
    }
    const above = createFolder(parent, hint);
    try {
      return [...createFolder(dir, hint), ...above];
    } catch (reason) {
      for (const folder of above) rmdirSync(folder);
      throw reason;
    }
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
