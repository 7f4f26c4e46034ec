// The gate between exit() and threads inside the CUDA runtime, with a stand-in for the runtime: no GPU is needed.
// environment.test.ts ends processes of the real one.
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const native = join(import.meta.dirname, '../../native');
const sources = ['runtime/cuda_worker.cpp', 'runtime/exit_gate.cpp'];
const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', '-pthread', '-I', native];

const dir = mkdtempSync(join(tmpdir(), 'epgen-exit-'));
const program = join(dir, 'program');
beforeAll(async () => {
  const files = [
    join(import.meta.dirname, 'exit_gate.cpp'),
    ...sources.map((file) => join(native, file)),
  ];
  await run('g++', [...flags, ...files, '-o', program]);
});
afterAll(() => rmSync(dir, { recursive: true }));

/** How often a process ended in which way, as its exit code or its signal. */
function ends(mode: string, numProcesses: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let idx = 0; idx < numProcesses; ++idx) {
    const { status, signal } = spawnSync(program, [mode], { timeout: 20_000 });
    const end = String(status ?? signal);
    counts[end] = (counts[end] ?? 0) + 1;
  }
  return counts;
}

test('exit() waits for a call under way, and no other begins', () => {
  expect(ends('guarded', 30)).toEqual({ 3: 30 });
});

test('without the gate a call meets what is gone', () => {
  expect(ends('unguarded', 5)).toEqual({ SIGABRT: 5 });
});

test('a call that does not return delays the end, and does not prevent it', () => {
  expect(ends('stuck', 1)).toEqual({ 3: 1 });
});
