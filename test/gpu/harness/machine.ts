import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import type { RawProbe } from '../../../native/addon-types.js';

/** What results were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly numCores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly kernel: string;
  readonly node: string;
  readonly driver: string | undefined;
  readonly gpus: readonly string[];
  readonly probe: RawProbe | undefined;
}

/** `folder/manifest.json`: what a folder was packed from. */
export interface Manifest {
  readonly commit: string;
  /** Files that differed from the commit. */
  readonly dirty: readonly string[];
  readonly packedAt: string;
  readonly backend: 'cpu' | 'cuda';
  /** Rank counts of the specs that were packed; absent for all. */
  readonly ranks?: readonly number[];
  readonly node: string;
  readonly suites: readonly string[];
  readonly addons: Readonly<Record<string, { readonly sha256: string; readonly compiler: string }>>;
}

export function machineOf(probe: RawProbe | undefined): Machine {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const [first] = os.cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    numCores: os.cpus().length,
    memoryBytes: os.totalmem(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? os.type(),
    kernel: os.release(),
    node: process.version,
    driver: nvidiaSmi('driver_version')[0],
    gpus: probe?.devices.map(({ name }) => name) ?? nvidiaSmi('name'),
    probe,
  };
}

function nvidiaSmi(field: string): string[] {
  try {
    const args = [`--query-gpu=${field}`, '--format=csv,noheader'];
    const text = execFileSync('nvidia-smi', args, { encoding: 'utf8', stdio: 'pipe' });
    return text.trim().split('\n');
  } catch {
    return [];
  }
}
