import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildTarget } from './build-target.js';
import type { NewFile } from './install-file.js';
import type { KernelResources } from './ptxas-report.js';

/** `addon/build.json`: what the binaries and the compiled wrapper were made from. */
export interface BuildRecord {
  readonly cpu?: AddonRecord;
  readonly cuda?: AddonRecord;
  readonly wrapper?: WrapperRecord;
}

export interface AddonRecord {
  readonly specHash: string;
  readonly inputHash: string;
  readonly compiler: string;
  readonly addonBytes: number;
  readonly addonHash: string;
  /** Of the cuda backend. */
  readonly arch?: string;
  readonly kernels?: readonly KernelResources[];
}

export interface WrapperRecord {
  readonly source: string;
  readonly js: string;
  readonly dts: string;
}

/** What the folder's last build said; empty where there was none. */
export async function readRecord(generatedDir: string): Promise<BuildRecord> {
  const text = await readText(recordPath(generatedDir));
  try {
    return text === undefined ? {} : (JSON.parse(text) as BuildRecord);
  } catch {
    // A damaged record only costs a rebuild.
    return {};
  }
}

export function recordFile(generatedDir: string, record: BuildRecord): NewFile {
  return { path: recordPath(generatedDir), text: `${JSON.stringify(record, null, 2)}\n` };
}

function recordPath(generatedDir: string): string {
  return join(generatedDir, 'addon', 'build.json');
}

export function addonPath(generatedDir: string, backend: BuildTarget['backend']): string {
  return join(generatedDir, 'addon', `${backend}.node`);
}

/** Undefined where there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  return existsSync(path) ? readFile(path, 'utf8') : undefined;
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
