import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EpgenError } from '../../generator/errors.js';
import { generate, generateTo } from '../../generator/generate.js';
import { makeFolder } from '../../generator/install-file.js';
import { parseSpec } from '../../generator/spec.js';

const run = promisify(execFile);
const spec = parseSpec({ ranks: 2, hidden: 64 }, 'test');
const other = parseSpec({ ranks: 2, hidden: 128 }, 'test');
const names = [...generate(spec).keys()];

let root = '';
let dir = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'epgen-output-'));
  dir = join(root, 'generated', spec.name);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function contents(folder: string): Promise<Record<string, string>> {
  const files = (await readdir(folder)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return Object.fromEntries(files.map((file, i) => [file, texts[i] as string]));
}

async function failureOf(promise: Promise<unknown>): Promise<EpgenError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EpgenError);
  return error as EpgenError;
}

describe('generateTo', () => {
  it('writes every file, then only what differs', async () => {
    expect(await generateTo(dir, spec, 'test')).toEqual({ written: names, unchanged: [] });
    expect(await contents(dir)).toEqual(Object.fromEntries(generate(spec)));

    const before = await stat(join(dir, 'layout.cuh'));
    await writeFile(join(dir, 'plan.json'), 'tampered');
    const unchanged = names.filter((name) => name !== 'plan.json');
    expect(await generateTo(dir, spec, 'test')).toEqual({ written: ['plan.json'], unchanged });
    expect((await stat(join(dir, 'layout.cuh'))).ino).toBe(before.ino);
  });

  it('refuses a folder that holds another spec, unless forced', async () => {
    await generateTo(dir, other, 'test');
    const before = await contents(dir);
    const error = await failureOf(generateTo(dir, spec, 'specs/a.spec.ts'));
    expect(error).toMatchObject({ code: 'EPGEN_IO', hint: expect.stringContaining('--force') });
    expect(error.message).toBe(
      `Expected ${dir} to be free for ep2_h64_bf16 (specs/a.spec.ts) but it holds the output of ep2_h128_bf16`,
    );
    expect(await contents(dir)).toEqual(before);
    await generateTo(dir, spec, 'test', { force: true });
    expect(await contents(dir)).toEqual(Object.fromEntries(generate(spec)));
  });

  it('takes a folder of its own name whose spec has changed', async () => {
    await generateTo(dir, spec, 'test');
    const changed = { ...parseSpec({ ranks: 2, hidden: 64, topk: 4 }, 'test'), name: spec.name };
    expect((await generateTo(dir, changed, 'test')).written).toContain('spec.json');
  });

  it.each([
    ['spec.json', 'not JSON', 'a spec.json that epgen did not write'],
    ['spec.json', '{"title": "mine"}', 'a spec.json that epgen did not write'],
  ])('refuses a foreign %s', async (name, text, message) => {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, name), text);
    expect((await failureOf(generateTo(dir, spec, 'test'))).message).toContain(message);
    expect(await contents(dir)).toEqual({ [name]: text });
  });

  it('refuses a file among its own that another hand wrote', async () => {
    await generateTo(dir, spec, 'test');
    await writeFile(join(dir, 'index.ts'), 'export const mine = 1;\n');
    expect((await failureOf(generateTo(dir, spec, 'test'))).message).toContain(
      'index.ts to be epgen',
    );
  });

  it.each(['index.ts', 'plan.json', 'index.js', 'index.d.ts', 'addon'])(
    'refuses a folder with %s and no spec.json of epgen, unless forced',
    async (name) => {
      await mkdir(dir, { recursive: true });
      await writeFile(join(dir, name), 'mine');
      const error = await failureOf(generateTo(dir, spec, 'test'));
      expect(error).toMatchObject({ code: 'EPGEN_IO', hint: expect.stringContaining('--force') });
      expect(error.message).toBe(
        `Expected ${dir} to be new or to hold epgen's spec.json but found ${name} without one`,
      );
      expect(await contents(dir)).toEqual({ [name]: 'mine' });
      await generateTo(dir, spec, 'test', { force: true });
    },
  );

  it('takes a folder that holds none of its names', async () => {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'README.md'), 'mine');
    await generateTo(dir, spec, 'test');
    expect(await readFile(join(dir, 'README.md'), 'utf8')).toBe('mine');
  });

  it('leaves files alone that it does not write', async () => {
    await generateTo(dir, spec, 'test');
    await mkdir(join(dir, 'addon'));
    await writeFile(join(dir, 'addon', 'cpu.node'), 'binary');
    await writeFile(join(dir, 'plan.json'), 'tampered');
    await generateTo(dir, spec, 'test');
    expect(await readFile(join(dir, 'addon', 'cpu.node'), 'utf8')).toBe('binary');
  });

  it('gives two runs at once the same folder', async () => {
    await Promise.all(Array.from({ length: 6 }, () => generateTo(dir, spec, 'test')));
    expect(await contents(dir)).toEqual(Object.fromEntries(generate(spec)));
  });

  it('says what is in the way, and leaves nothing behind', async () => {
    await writeFile(join(root, 'generated'), 'a file');
    const error = await failureOf(generateTo(dir, spec, 'test'));
    expect(error.message).toContain('is not a folder (ENOTDIR)');
    expect(await readdir(root)).toEqual(['generated']);

    await rm(join(root, 'generated'));
    await mkdir(join(dir, 'launch.cpp'), { recursive: true });
    const blocked = await failureOf(generateTo(dir, spec, 'test'));
    expect(blocked.message).toBe(
      `Cannot read ${join(dir, 'launch.cpp')}: a folder is where the file should be (EISDIR)`,
    );
    expect(await readdir(dir)).toEqual(['launch.cpp']);
  });
});

const isRoot = process.getuid?.() === 0;
const canMount = isRoot && (await mountsWork());

async function mountsWork(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'epgen-mount-'));
  const works = await run('mount', ['-t', 'tmpfs', 'none', folder]).then(
    () => true,
    () => false,
  );
  if (works) await run('umount', [folder]);
  await rm(folder, { recursive: true });
  return works;
}

describe.skipIf(!canMount)('a file system that takes no more (needs root and mount)', () => {
  let mount = '';
  beforeEach(async () => {
    mount = join(root, 'mount');
    await mkdir(mount);
  });
  afterEach(() => run('umount', [mount]).catch(() => undefined));

  it('that is full leaves the previous output intact', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=160k', 'none', mount]);
    const folder = join(mount, 'x');
    await generateTo(folder, spec, 'test');
    const before = await contents(folder);
    const { stdout } = await run('df', ['--output=avail', '-B1', mount]);
    const free = Number(stdout.trim().split('\n')[1]);
    await writeFile(join(mount, 'filler'), Buffer.alloc(free - 8192));

    const error = await failureOf(generateTo(folder, other, 'test', { force: true }));
    expect(error.message).toMatch(/^Cannot write .*: no space is left on the device \(ENOSPC\)$/);
    expect(error.hint).toBe('What was there before is unchanged.');
    expect(await contents(folder)).toEqual(before);
  });

  it('that is out of inodes is named', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=2', 'none', mount]);
    const error = await failureOf(generateTo(join(mount, 'x', 'y'), spec, 'test'));
    expect(error.message).toBe(
      `Cannot create ${join(mount, 'x', 'y')}: no space is left on the device (ENOSPC)`,
    );
    expect(await readdir(mount)).toEqual([]);
    const cached = await failureOf(makeFolder(join(mount, 'a', 'b', 'c')));
    expect(cached.message).toMatch(/^Cannot create .*: no space is left on the device \(ENOSPC\)$/);
  });

  it('that is read-only is named', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', mount]);
    const error = await failureOf(generateTo(join(mount, 'x'), spec, 'test'));
    expect(error.message).toBe(
      `Cannot create ${join(mount, 'x')}: the file system is read-only (EROFS)`,
    );
  });
});

describe.skipIf(isRoot)('a folder without write permission (root has it anyway)', () => {
  it('keeps its output', async () => {
    await generateTo(dir, spec, 'test');
    const before = await contents(dir);
    await chmod(dir, 0o555);
    const error = await failureOf(generateTo(dir, other, 'test', { force: true }));
    await chmod(dir, 0o755);
    expect(error.message).toContain('permission is denied (EACCES)');
    expect(await contents(dir)).toEqual(before);
  });
});
