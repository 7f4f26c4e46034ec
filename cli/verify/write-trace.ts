import { mkdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { installTogether } from '../../generator/install-file.js';
import { spaceTimeDiagram } from '../diagram/space-time-diagram.js';
import type { Trace } from '../diagram/trace.js';
import { type Finding, runVerifier } from './run-verifier.js';

/** Runs a finding's schedule once more and leaves its trace, and a picture of it. Returns what was written. */
export async function writeTrace(
  path: string,
  finding: Finding,
  { out, name, calls }: { readonly out: string; readonly name: string; readonly calls: number },
): Promise<readonly string[]> {
  const { seed, policy } = finding;
  await mkdir(out, { recursive: true });
  const base = join(out, `${name}-${seed}`);
  const trace = `${base}.trace.json`;
  await runVerifier(path, { seeds: [seed, seed + 1], policy, calls, trace });
  const svg = spaceTimeDiagram(JSON.parse(await readFile(trace, 'utf8')) as Trace, finding);
  await installTogether([{ path: `${base}.svg`, text: svg }]);
  return [`${base}.svg`, trace].map((file) => relative('', file));
}
