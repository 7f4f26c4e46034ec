// What the tests of a packed folder run on. An entry point says so once, before it loads any test.

export type AddonBackend = 'cpu' | 'cuda';

export interface Host {
  /** The packed folder. */
  readonly dir: string;
  /** `collect` runs no test: it only records which specs the tests build. */
  readonly mode: 'collect' | 'run';
  /** Where `buildSpec(...).open()` opens groups. */
  readonly backend: AddonBackend;
  /** GPUs of this machine. */
  readonly numDevices: number;
  /** Whether specs of more ranks than GPUs run with several ranks on a GPU; else they are skipped. */
  readonly sharesDevices: boolean;
  /** Rank counts to run; undefined for all. */
  readonly ranks: readonly number[] | undefined;
}

let current: Host | undefined;

export function setHost(host: Host): void {
  current = host;
}

export function host(): Host {
  if (current === undefined) throw new Error('no entry point of the packed folder called setHost');
  return current;
}

/** Thrown by a test or hook that cannot run here: it counts as skipped, with this reason. */
export class Skip extends Error {}
