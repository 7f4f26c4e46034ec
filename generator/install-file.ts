import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EpgenError } from './errors.js';

/** Creates a folder for cached files and returns its real path. */
export async function makeFolder(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true });
    return await realpath(path);
  } catch (error) {
    throw new EpgenError(`Cannot create the folder ${path}: ${reasonOf(error)}`, {
      code: 'EPGEN_IO',
      hint: 'Set EPGEN_CACHE_DIR to a folder that can be written.',
      cause: error,
    });
  }
}

/** Replaces a file in one step: readers see the old content or the new, never a part. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await install(path, async (fresh) => {
    const file = await open(fresh, 'wx');
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  });
}

/** Copies `from` to `to` in one step, so that a process that has the old file loaded keeps it. */
export async function replaceWithCopy(from: string, to: string): Promise<void> {
  await install(to, (fresh) => copyFile(from, fresh, constants.COPYFILE_EXCL));
}

async function install(path: string, write: (fresh: string) => Promise<void>): Promise<void> {
  const fresh = `${path}.${process.pid}-${randomBytes(3).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await write(fresh);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'the folder cannot be written',
  EPERM: 'the folder cannot be written',
};

function reasonOf(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}

function writeError(path: string, error: unknown): EpgenError {
  return new EpgenError(`Cannot write ${path}: ${reasonOf(error)}`, {
    code: 'EPGEN_IO',
    hint: 'What was there before is unchanged.',
    cause: error,
  });
}
