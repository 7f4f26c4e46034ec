import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from './harness/machine.js';
import type { TestResult } from './harness/tree.js';

const pack = fileURLToPath(new URL('pack.mjs', import.meta.url));
let scratch = '';
let folder = '';

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'epgen-gpu-'));
  folder = join(scratch, 'folder with a space');
  const options = ['--backend', 'cpu', '--no-node', '--only', 'kernels/smoke', '--out', folder];
  await execa(process.execPath, [pack, ...options]);
}, 300_000);
afterAll(() => rm(scratch, { recursive: true, force: true }));

interface Report {
  readonly command: string;
  readonly isComplete: boolean;
  readonly skipReasons: Readonly<Record<string, number>>;
  readonly files: readonly { readonly file: string; readonly tests: readonly TestResult[] }[];
}

/** Runs the folder's tests from elsewhere; gives how it ended, what it said and what it wrote. */
async function runTests(...args: string[]) {
  const out = await mkdtemp(join(scratch, 'out-'));
  const options = [...args, '--out', out];
  const path = join(folder, 'run-tests');
  const { exitCode, stdout } = await execa(path, options, { cwd: scratch, reject: false });
  const [name = ''] = readdirSync(out);
  const report = JSON.parse(readFileSync(join(out, name), 'utf8')) as Report;
  return { exitCode, stdout, name, report, tests: report.files.flatMap(({ tests }) => tests) };
}

/** Adds a test file to the folder, as if it had been packed. */
async function plant(file: string, program: string): Promise<void> {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Manifest;
  const suites = [...new Set([...manifest.suites, file])];
  await writeFile(path, JSON.stringify({ ...manifest, suites }));
  const imports = [
    "import { beforeAll, expect, test } from './gpu/harness/vitest.js';",
    "import { Skip } from './gpu/harness/host.js';",
  ];
  await writeFile(join(folder, 'test', `${file}.js`), [...imports, program].join('\n'));
}

test('the folder holds what its tests need, and says what it was packed from', async () => {
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest;
  expect(manifest.suites).toEqual(['kernels/smoke.test']);
  expect(manifest.commit).toMatch(/^[0-9a-f]{40}$/);
  const names = readdirSync(join(folder, 'generated'));
  expect(names).toHaveLength(2);
  for (const name of names) {
    const addon = `generated/${name}/addon/cpu.node`;
    expect(existsSync(join(folder, addon))).toBe(true);
    expect(manifest.addons[addon]?.sha256).toMatch(/^[0-9a-f]{64}$/);
  }
});

test('a kernel suite runs in it', async () => {
  const { exitCode, stdout, name, report, tests } = await runTests('--only', 'smoke');
  expect(stdout).toContain('5 passed, 0 failed');
  expect(exitCode).toBe(0);
  expect(tests.map(({ outcome }) => outcome)).toEqual(Array(5).fill('passed'));
  expect(name).toMatch(/^tests-cpu-.*-[0-9a-f]{8}(?:-dirty)?\.json$/);
  expect(report).toMatchObject({ isComplete: true });
  expect(report.command).toContain('./run-tests --only smoke');
});

test('specs of other rank counts are skipped, and the reason counted', async () => {
  const { report, stdout } = await runTests('--only', 'smoke', '--ranks', '2');
  expect(report.skipReasons).toEqual({ '1 ranks: --ranks is 2': 4 });
  expect(stdout).toContain('4 skipped: 1 ranks: --ranks is 2');
  expect(stdout).toContain('1 passed, 0 failed');
});

test('where no test runs on a GPU, a run for GPUs fails', async () => {
  const { exitCode, stdout, report } = await runTests('--only', 'smoke', '--backend', 'cuda');
  expect(exitCode).toBe(1);
  expect(stdout).toContain('No test ran on a GPU: no cuda addon was packed');
  expect(Object.values(report.skipReasons)).toEqual([4, 1]);
});

describe('in a file of its own', () => {
  const outcomes = async (file: string, ...args: string[]) => {
    const { exitCode, tests } = await runTests('--only', file, ...args);
    return {
      exitCode,
      tests: tests.map(({ name, outcome, reason, error = '' }) => ({
        name,
        outcome,
        reason,
        error,
      })),
    };
  };

  test('a failure, a wrong matcher and a late rejection count as failed', async () => {
    await plant(
      'failing',
      `test('right', () => expect([1, { a: 2 }]).toEqual([1, { a: 2 }]));
       const fail = () => { throw Object.assign(new Error('abc'), { code: 'A' }); };
       const pattern = (text) => expect.objectContaining({ code: 'A', message: expect.stringMatching(text) });
       test('right pattern', () => expect(fail).toThrow(pattern(/b/)));
       test('wrong pattern', () => expect(fail).toThrow(pattern(/d/)));
       test('wrong', () => expect(1).toBe(2));
       test('wrong not', () => expect('abc').not.toContain('b'));
       test('no such matcher', () => expect(1).toBeLucky());
       test('late', () => void Promise.reject(new Error('nobody waits')));
       test('slow', () => new Promise(() => undefined), 50);
       test.each([['a', 1], ['b', 2]])('%s is skipped', (name) => { throw new Skip('why ' + name); });`,
    );
    const { exitCode, tests } = await outcomes('failing');
    expect(exitCode).toBe(1);
    expect(tests).toMatchObject([
      { name: 'right', outcome: 'passed' },
      { name: 'right pattern', outcome: 'passed' },
      { name: 'wrong pattern', outcome: 'failed' },
      { name: 'wrong', outcome: 'failed', error: expect.stringContaining('expected 1 toBe 2') },
      { name: 'wrong not', outcome: 'failed' },
      { name: 'no such matcher', outcome: 'failed' },
      { name: 'late', outcome: 'passed' },
      { name: 'unhandled rejection', outcome: 'failed' },
      { name: 'slow', outcome: 'failed', error: expect.stringContaining('more than 50 ms') },
      { name: 'a is skipped', outcome: 'skipped', reason: 'why a' },
      { name: 'b is skipped', outcome: 'skipped', reason: 'why b' },
    ]);
  });

  test('a hook that fails fails its tests', async () => {
    await plant(
      'hooked',
      `beforeAll(() => { throw new Error('no memory'); });
       test('never runs', () => undefined);`,
    );
    expect((await outcomes('hooked')).tests).toMatchObject([
      { name: 'never runs', outcome: 'failed', error: expect.stringContaining('no memory') },
    ]);
  });

  test('a crash fails the test that ran and those behind it', async () => {
    await plant(
      'crashing',
      `test('before', () => undefined);
       test('crash', async () => { process.kill(process.pid, 'SIGSEGV'); await new Promise(() => undefined); });
       test('behind', () => undefined);`,
    );
    expect((await outcomes('crashing')).tests).toMatchObject([
      { name: 'before', outcome: 'passed' },
      {
        name: 'crash',
        outcome: 'failed',
        error: 'the process ended with SIGSEGV during this test',
      },
      { name: 'behind', outcome: 'failed', error: 'not run: the process ended with SIGSEGV' },
    ]);
  });

  test('one that blocks its process is stopped', async () => {
    await plant('blocking', `test('block', () => { for (;;); });`);
    expect((await outcomes('blocking', '--limit', '2')).tests).toMatchObject([
      { name: 'block', outcome: 'failed', error: 'the file took more than 2 s during this test' },
    ]);
  });
});
