// Schedules that once failed: each file here is replayed, and nothing may be found.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type PolicyName, runVerifier, type VerifierEvent } from '../../cli/verify/run-verifier.js';
import { buildVerifier } from '../../generator/build-verifier.js';
import { generate } from '../../generator/generate.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';

interface FailedSeed {
  readonly spec: SpecInput;
  readonly seed: number;
  readonly policy: PolicyName;
  readonly calls: number;
  /** What the verifier said. */
  readonly found: string;
  /** What mended it. */
  readonly since: string;
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json'));

test.each(files)('%s stays clean', async (file) => {
  const text = readFileSync(join(import.meta.dirname, file), 'utf8');
  const { spec: input, seed, policy, calls, found, since } = JSON.parse(text) as FailedSeed;
  expect({ found, since }).toEqual({ found: expect.any(String), since: expect.any(String) });
  const spec = parseSpec(input, file);
  const { path } = await buildVerifier({ spec, files: generate(spec) });
  const findings: VerifierEvent[] = [];
  const summary = await runVerifier(path, { seeds: [seed, seed + 1], policy, calls }, (event) => {
    if (event.type === 'finding') findings.push(event);
  });
  expect(findings).toEqual([]);
  expect(summary.schedules).toBe(1);
});
