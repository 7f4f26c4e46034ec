// Compiles the runtime of groups over a backend that does what cases say, runs them, and shows each as a test.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const here = fileURLToPath(new URL('backend/', import.meta.url));
const native = fileURLToPath(new URL('../../native/', import.meta.url));
const runtime = [
  'arena',
  'group',
  'group_calls',
  'group_devices',
  'group_expert_major',
  'group_failure',
  'group_graph',
  'group_low_latency',
  'group_memory',
  'group_records',
  'group_streams',
  'reports',
];
const sources = [
  ...runtime.map((name) => join(native, `runtime/${name}.cpp`)),
  join(here, 'scripted.cpp'),
  join(here, 'group.cpp'),
];
const caseNames = [
  ...readFileSync(join(here, 'group.cpp'), 'utf8').matchAll(/^CASE\("(.*)"\) \{$/gm),
].map((match) => match[1]!);

let lines: readonly string[];

beforeAll(async () => {
  const workDir = await mkdtemp(join(tmpdir(), 'epgen-backend-'));
  try {
    // One unit: the headers take most of the time.
    const unit = join(workDir, 'cases.cpp');
    const program = join(workDir, 'cases');
    await writeFile(unit, sources.map((file) => `#include "${file}"\n`).join(''));
    const flags = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-DEPGEN_CPU', `-I${native}`];
    await run('g++', [...flags, `-I${here}`, unit, '-o', program, '-lpthread']);
    // A failing case makes the exit code 1; the lines say which one.
    const { stdout } = await run(program).catch((error: { stdout: string }) => error);
    lines = stdout.split('\n').filter((line) => line !== '');
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}, 120_000);

describe('a group over streams that go on in any order', () => {
  test.each(caseNames)('%s', (name) => {
    expect(lines.find((line) => line.includes(` ${name}`))).toBe(`ok ${name}`);
  });

  test('runs all cases', () => {
    expect(lines).toHaveLength(caseNames.length);
  });
});
