// Compiles the emulator with the cases of this folder, runs them, and shows each as a test.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const native = fileURLToPath(new URL('../../native/', import.meta.url));
const flags = [
  '-std=c++20',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-ffp-contract=off',
  '-DEPGEN_CPU',
];

const caseFiles = readdirSync(here).filter((file) => file.endsWith('.cpp'));
const caseNames = caseFiles.flatMap((file) =>
  [...readFileSync(join(here, file), 'utf8').matchAll(/^CASE\("(.*)"\) \{$/gm)].map((m) => m[1]!),
);

/** One object for all sources of a folder: their headers take most of the time. */
async function compileFolder(folder: string, workDir: string, object: string): Promise<string> {
  const sources = (await readdir(folder)).filter((file) => file.endsWith('.cpp')).sort();
  const unit = join(workDir, `${object}.cpp`);
  await writeFile(unit, sources.map((file) => `#include "${join(folder, file)}"\n`).join(''));
  const output = join(workDir, `${object}.o`);
  await run('g++', [...flags, `-I${native}`, `-I${here}`, '-c', unit, '-o', output]);
  return output;
}

async function runCases(): Promise<string[]> {
  const workDir = await mkdtemp(join(tmpdir(), 'epgen-simt-'));
  try {
    const objects = await Promise.all([
      compileFolder(join(native, 'simt'), workDir, 'emulator'),
      compileFolder(here, workDir, 'cases'),
    ]);
    const program = join(workDir, 'cases');
    await run('g++', ['-o', program, ...objects, '-l:libboost_context.a', '-lpthread']);
    // A failing case makes the exit code 1; the lines say which one.
    const { stdout } = await run(program).catch((error: { stdout: string }) => error);
    return stdout.split('\n').filter((line) => line !== '');
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

describe('emulator', () => {
  let lines: string[] = [];

  beforeAll(async () => {
    lines = await runCases();
    for (const line of lines.filter((text) => text.startsWith('note '))) console.log(line.slice(5));
  });

  test.each(caseNames)('%s', (name) => {
    const line = lines.find((text) => text === `ok ${name}` || text.startsWith(`FAIL ${name}: `));
    expect(line).toBe(`ok ${name}`);
  });
});
