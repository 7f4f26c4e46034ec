import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RawProbe } from '../../../native/addon-types.js';
import { type Machine, type Manifest, machineOf } from './machine.js';

/** A packed folder, and the machine that it lies on. */
export interface PackedHost {
  readonly dir: string;
  readonly manifest: Manifest;
  readonly machine: Machine;
  readonly numDevices: number;
  /** Why there are no devices. */
  readonly reason: string | undefined;
}

export function packedHost(dir: string): PackedHost {
  const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as Manifest;
  const { probe, reason } = probeDevices(dir);
  const numDevices = probe?.devices.length ?? 0;
  return { dir, manifest, machine: machineOf(probe), numDevices, reason };
}

function probeDevices(dir: string): { probe?: RawProbe; reason: string | undefined } {
  const generated = join(dir, 'generated');
  const addon = readdirSync(generated)
    .map((name) => join(generated, name, 'addon', 'cuda.node'))
    .find((path) => existsSync(path));
  if (addon === undefined) return { reason: 'no cuda addon was packed' };
  try {
    const args = [join(dir, 'test/gpu/harness/probe.js'), addon];
    const text = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
    const probe = JSON.parse(text) as RawProbe;
    return { probe, reason: probe.reason ?? undefined };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The name of a results file: where it ran, and what. */
export function resultName(kind: string, { manifest, machine, numDevices }: PackedHost): string {
  const gpu = (machine.gpus[0] ?? 'no gpu').toLowerCase().replace(/^nvidia /, '');
  const where = `${numDevices}x ${gpu}`.replace(/[^a-z0-9]+/g, '-');
  const dirty = manifest.dirty.length > 0 ? '-dirty' : '';
  return `${kind}-${where}-${manifest.commit.slice(0, 8)}${dirty}.json`;
}
