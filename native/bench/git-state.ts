import { execFileSync } from 'node:child_process';

/** Which sources a measurement is of. */
export interface Sources {
  readonly commit: string;
  /** Files that differ from the commit. */
  readonly dirty: readonly string[];
}

/** The commit of the repository that `folder` lies in; undefined outside one. */
export function sourcesOf(folder: string): Sources | undefined {
  try {
    const dirty = git(folder, 'status', '--porcelain').split('\n').filter(Boolean);
    return { commit: git(folder, 'rev-parse', 'HEAD').trim(), dirty };
  } catch {
    return undefined;
  }
}

function git(cwd: string, ...args: readonly string[]): string {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
