import { rmdirSync } from 'node:fs';
import { lock } from 'proper-lockfile';
import type { OnProgress } from './build-tree.js';
import { EpgenError } from './errors.js';
import { makeFolder } from './install-file.js';
import { ioError } from './io-error.js';

/**
 * Runs `work` while no other process holds `dir`. Its signal is aborted when the lock is lost, which happens to a
 * machine that slept or a cache that was deleted: someone else may then be at work there, so `work` has to stop.
 * @throws EpgenError EPGEN_IO when the lock was lost
 */
export async function withLock<T>(
  dir: string,
  onProgress: OnProgress,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const folder = await makeFolder(dir);
  const lost = new AbortController();
  const release = await acquire(folder, onProgress, (cause) =>
    lost.abort(lostError(folder, cause)),
  );
  // An interrupted build must not let the next one wait until the lock is stale.
  const releaseAtExit = () => {
    if (!lost.signal.aborted) removeLock(folder);
  };
  process.once('exit', releaseAtExit);
  try {
    return await work(lost.signal);
  } catch (error) {
    throw lost.signal.aborted ? lost.signal.reason : error;
  } finally {
    process.off('exit', releaseAtExit);
    if (!lost.signal.aborted) await release();
  }
}

type OnLost = (cause: Error) => void;

async function acquire(
  dir: string,
  onProgress: OnProgress,
  onCompromised: OnLost,
): Promise<() => Promise<void>> {
  const once = { stale: 15_000, update: 5_000, onCompromised };
  try {
    return await lock(dir, once);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') {
      throw ioError('create', `${dir}.lock`, error);
    }
  }
  onProgress({ step: 'wait', text: 'another epgen build uses this build folder' });
  return lock(dir, { ...once, retries: { retries: 7200, minTimeout: 100, maxTimeout: 250 } });
}

function removeLock(dir: string): void {
  try {
    rmdirSync(`${dir}.lock`);
  } catch {
    // Gone already.
  }
}

function lostError(dir: string, cause: Error): EpgenError {
  return new EpgenError(
    `Expected to hold ${dir}.lock until the build ended but it was taken or deleted`,
    {
      code: 'EPGEN_IO',
      hint: 'Run the build again.',
      cause,
    },
  );
}
