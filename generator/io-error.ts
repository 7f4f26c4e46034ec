import { EpgenError } from './errors.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission is denied',
  EPERM: 'the operation is not permitted',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'a file is where the folder should be',
  EISDIR: 'a folder is where the file should be',
};

/** What the file system said of `path`; the cause keeps its own code. */
export function ioError(
  verb: 'read' | 'write' | 'create',
  path: string,
  error: unknown,
  hint = 'What was there before is unchanged.',
): EpgenError {
  // Raised already, with a better place than this one.
  if (error instanceof EpgenError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const reason = REASONS[code] ? `${REASONS[code]} (${code})` : message;
  return new EpgenError(`Cannot ${verb} ${path}: ${reason}`, {
    code: 'EPGEN_IO',
    hint,
    cause: error,
  });
}
