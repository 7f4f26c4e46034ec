import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const programs = fileURLToPath(new URL('programs', import.meta.url));
let project = '';

const run = (command: string, ...args: string[]) =>
  execa(command, args, { cwd: project, env: { NODE_EXTRA_CA_CERTS: undefined } });

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'epgen-package-'));
  await execa('npm', ['pack', '--ignore-scripts', '--pack-destination', project], {
    cwd: repository,
  });
  const tarball = (await readdir(project)).find((name) => name.endsWith('.tgz')) ?? '';
  await execa('npm', ['init', '-y'], { cwd: project });
  await execa(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', join(project, tarball)],
    {
      cwd: project,
    },
  );
  await cp(programs, project, { recursive: true });
}, 300_000);
afterAll(() => rm(project, { recursive: true }));

describe('the installed package', () => {
  it('ships what it needs and no more', async () => {
    const files = await readdir(join(project, 'node_modules', 'epgen'), { recursive: true });
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'dist/cli/main.js',
        'dist/generator/index.d.ts',
        'dist/native/index.d.ts',
        'native/CMakeLists.txt',
        'native/device/device.cuh',
        'templates/dispatch.cu.hbs',
      ]),
    );
    const unwanted = /^native\/.*\.ts$|\.tsbuildinfo$|^dist\/.*\.map$|\.node$|^test\/|^generated\//;
    expect(files.filter((file) => unwanted.test(file))).toEqual([]);
  });

  it('builds a spec from flags', async () => {
    const { stdout } = await run('npx', 'epgen', 'build', '--ranks', '2', '--hidden', '64');
    expect(stdout).toContain('#epgen/ep2_h64_bf16 can be imported');
    const manifest = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
    expect(manifest.imports).toHaveProperty('#epgen/*');
  }, 300_000);

  it('leaves its own folder as it was installed', async () => {
    const names = await readdir(join(project, 'node_modules', 'epgen', 'native'));
    expect(names).not.toContain('build');
  });

  it('runs from an ES module', async () => {
    const { stdout } = await run(process.execPath, 'main.mjs');
    expect(stdout).toBe('cpu: 4 4 rows, true');
  });

  it('runs from a CommonJS module', async () => {
    const { stdout } = await run(process.execPath, 'main.cjs');
    expect(stdout).toBe('cpu: 4 0 rows');
  });

  it('type-checks strictly without any other types, and runs', async () => {
    const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
    await run(process.execPath, tsc, '-p', 'tsconfig.json');
    await run(process.execPath, 'typed.mjs');
  });

  it('finds no drift', async () => {
    const { stdout } = await run('npx', 'epgen', 'check');
    expect(stdout).toContain('no drift');
  });
});
