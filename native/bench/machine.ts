// The compiled addon and the GPUs that a benchmark runs on.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import type { RawAddon, RawDevice, RawGroup } from '../addon-types.js';
import { EpgenToolError, EpgenUnsupportedError } from '../errors.js';
import type { Spec } from '../spec-types.js';

export interface Machine {
  readonly cpu: string;
  readonly numCores: number;
  readonly kernel: string;
  readonly node: string;
  /** As nvidia-smi tells; null where it is not installed. */
  readonly driver: string | null;
  readonly clocks: readonly string[];
  readonly gpus: readonly { readonly ordinal: number; readonly name: string }[];
}

/** Which addon a result is of. */
export interface MeasuredAddon {
  readonly path: string;
  readonly sha256: string;
  readonly arch: string;
}

const DEADLINE_MS = 10_000;

export function loadCuda(path: string): RawAddon {
  let addon: RawAddon;
  try {
    addon = createRequire(import.meta.url)(path) as RawAddon;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EpgenToolError(`Expected to load ${path}, but Node could not: ${reason}`, {
      cause: error,
    });
  }
  if (addon.backend === 'cuda') return addon;
  throw new EpgenUnsupportedError(
    `Expected an addon of the cuda backend but ${path} is of ${addon.backend}: times of an emulated machine mean nothing`,
  );
}

export function measuredAddon(path: string, { arch }: RawAddon): MeasuredAddon {
  return { path, sha256: createHash('sha256').update(readFileSync(path)).digest('hex'), arch };
}

export function devicesFor({ name, ranks }: Spec, addon: RawAddon): readonly RawDevice[] {
  const probe = addon.probe();
  const devices = probe?.devices ?? [];
  const reason = probe?.reason;
  if (devices.length >= ranks) return devices.slice(0, ranks);
  const found = devices.length === 0 ? `none${reason ? `: ${reason}` : ''}` : `${devices.length}`;
  throw new EpgenUnsupportedError(
    `Expected ${ranks} GPUs, one for each rank of ${name}, but found ${found}`,
    { hint: 'A benchmark runs on GPUs only; run it where they are.' },
  );
}

export function openBenchGroup(addon: RawAddon, devices: readonly number[]): RawGroup {
  const deadlines = { deadlineMs: DEADLINE_MS, firstDeadlineMs: 3 * DEADLINE_MS };
  return addon.openGroup({ seed: 0n, ...deadlines, devices });
}

export function machineOf(gpus: readonly RawDevice[]): Machine {
  const [first] = os.cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    numCores: os.cpus().length,
    kernel: os.release(),
    node: process.version,
    driver: nvidiaSmi('driver_version')[0] ?? null,
    clocks: nvidiaSmi('clocks.sm,clocks.mem'),
    gpus,
  };
}

function nvidiaSmi(fields: string): string[] {
  try {
    const args = [`--query-gpu=${fields}`, '--format=csv,noheader'];
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync('nvidia-smi', args, { encoding: 'utf8', stdio }).trim().split('\n');
  } catch {
    return [];
  }
}
