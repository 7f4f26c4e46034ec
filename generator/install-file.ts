import { randomBytes } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import { copyFile, lstat, open, realpath, rename, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createFolder } from './create-folder.js';
import { ioError } from './io-error.js';

/** A file to put in place: a text, or a copy of another file. */
export type NewFile = { readonly path: string } & (
  | { readonly text: string; readonly from?: never }
  | { readonly from: string; readonly text?: never }
);

/** Creates a folder for cached files and returns its real path. */
export async function makeFolder(path: string): Promise<string> {
  createFolder(path, 'Set EPGEN_CACHE_DIR to a folder that can be written.');
  return realpath(path);
}

/** Replaces a file in one step: readers see the old content or the new, never a part. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await installTogether([{ path, text }]);
}

/**
 * Puts files in place together: all are written beside their places first and then renamed, in the order given. So a
 * disk that is full, or a folder that cannot be written, leaves everything as it was, and a process that has an old
 * file loaded keeps it.
 * @throws EpgenError EPGEN_IO
 */
export async function installTogether(files: readonly NewFile[]): Promise<void> {
  // Names of one call only: another process that writes the same files has its own.
  const suffix = `.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  const created: string[] = [];
  const removeFresh = () => {
    for (const { path } of files) rmSync(path + suffix, { force: true });
  };
  process.once('exit', removeFresh);
  try {
    for (const { path } of files) created.unshift(...createFolder(dirname(path)));
    for (const file of files) await writeFresh(file, suffix);
    for (const { path } of files) {
      await rename(path + suffix, path).catch((error) => {
        throw ioError('write', path, error);
      });
    }
  } catch (error) {
    await Promise.all(
      files.map(({ path }) => rm(path + suffix, { force: true }).catch(() => undefined)),
    );
    for (const folder of created) await rmdir(folder).catch(() => undefined);
    throw error;
  } finally {
    process.off('exit', removeFresh);
  }
}

async function writeFresh({ path, text, from }: NewFile, suffix: string): Promise<void> {
  try {
    // Looked for now, since a rename that fails on it would come after others.
    const present = await lstat(path).catch(() => undefined);
    if (present?.isDirectory()) throw Object.assign(new Error(path), { code: 'EISDIR' });
    if (text === undefined) {
      await copyFile(from, path + suffix, constants.COPYFILE_EXCL);
      return;
    }
    const file = await open(path + suffix, 'wx');
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError('write', path, error);
  }
}
