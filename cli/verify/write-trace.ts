import { mkdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { installTogether } from '../../generator/install-file.js';
import { spaceTimeDiagram } from '../diagram/space-time-diagram.js';
import type { Trace } from '../diagram/trace.js';
import type { Finding } from './run-verifier.js';

export interface TraceOptions {
  readonly out: string;
  /** Of the spec. */
  readonly name: string;
  /** Runs what has the finding once more. */
  readonly trace: (finding: Finding, file: string) => Promise<unknown>;
}

/** Leaves the trace of a finding's schedule, and a picture of it. Returns what was written. */
export async function writeTrace(
  finding: Finding,
  { out, name, trace }: TraceOptions,
): Promise<readonly string[]> {
  await mkdir(out, { recursive: true });
  const base = join(out, `${name}-${finding.seed}`);
  const file = `${base}.trace.json`;
  await trace(finding, file);
  const svg = spaceTimeDiagram(JSON.parse(await readFile(file, 'utf8')) as Trace, finding);
  await installTogether([{ path: `${base}.svg`, text: svg }]);
  return [`${base}.svg`, file].map((path) => relative('', path));
}
