import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildAddon } from '../../generator/compile.js';
import { EpgenError, EpgenToolError } from '../../generator/errors.js';
import { generateTo } from '../../generator/generate.js';
import { parseSpec } from '../../generator/spec.js';

const spec = parseSpec({ ranks: 2, hidden: 64 }, 'test');
let root = '';
let generatedDir = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'epgen-compile-'));
  generatedDir = join(root, spec.name);
  await generateTo(generatedDir, spec, 'test', { force: false });
});
afterAll(() => rm(root, { recursive: true }));

const build = (dir = generatedDir) => buildAddon({ generatedDir: dir, spec, backend: 'cpu' });

async function failureOf(work: Promise<unknown>): Promise<EpgenError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EpgenError);
  return error as EpgenError;
}

describe('buildAddon', () => {
  it('leaves an addon, its record and the compiled wrapper', async () => {
    const report = await build();
    expect(report).toMatchObject({ name: spec.name, backend: 'cpu', upToDate: false });
    expect((await stat(report.addonPath)).size).toBe(report.addonBytes);
    const files = await readdir(generatedDir);
    expect(files).toEqual(expect.arrayContaining(['addon', 'index.js', 'index.d.ts']));
    expect((await readdir(join(generatedDir, 'addon'))).sort()).toEqual(['build.json', 'cpu.node']);
  });

  it('does nothing when nothing has changed', async () => {
    const { ino } = await stat(join(generatedDir, 'addon', 'cpu.node'));
    expect(await build()).toMatchObject({ upToDate: true });
    expect((await stat(join(generatedDir, 'addon', 'cpu.node'))).ino).toBe(ino);
  });

  it('makes a lost wrapper again without compiling the addon', async () => {
    const text = await readFile(join(generatedDir, 'index.js'), 'utf8');
    await rm(join(generatedDir, 'index.js'));
    expect(await build()).toMatchObject({ upToDate: true });
    expect(await readFile(join(generatedDir, 'index.js'), 'utf8')).toBe(text);
  });

  it('builds one folder twice at a time', async () => {
    await rm(join(generatedDir, 'addon'), { recursive: true });
    const [a, b] = await Promise.all([build(), build()]);
    expect(a.addonBytes).toBe(b.addonBytes);
    expect(await build()).toMatchObject({ upToDate: true });
  });

  it("fails with the compiler's own words and keeps the addon", async () => {
    const dir = join(root, 'broken');
    await cp(generatedDir, dir, { recursive: true });
    const before = await readFile(join(dir, 'addon', 'cpu.node'));
    await appendFile(join(dir, 'launch.cpp'), 'int planted() { return "mistake"; }\n');
    const error = await failureOf(build(dir));
    expect(error.code).toBe('EPGEN_COMPILE');
    expect(error.message).toMatch(/launch\.cpp:\d+:\d+: error: /);
    expect(await readFile(join(dir, 'addon', 'cpu.node'))).toEqual(before);
  });

  it('names a missing compiler before it starts anything', async () => {
    const path = process.env.PATH;
    process.env.PATH = '/nonexistent';
    try {
      const error = await failureOf(build());
      expect(error).toBeInstanceOf(EpgenToolError);
      expect(error.message).toMatch(/g\+\+.*no g\+\+ on PATH/);
      expect(error.hint).toMatch(/apt-get install .*libboost-context-dev/);
    } finally {
      process.env.PATH = path;
    }
  });
});

const canMount = process.getuid?.() === 0 && tryMount();

/** Containers often forbid mounts even to root. */
function tryMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!canMount)('buildAddon on a bad disk (needs root and mounts)', () => {
  it.each([
    ['a full disk', fillDisk, /no space is left on the device/],
    ['a read-only folder', remountReadOnly, /the file system is read-only/],
  ])('%s: a clear error, and what was there stays', async (name, spoil, message) => {
    const disk = join(root, name.replaceAll(' ', '-'));
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
    try {
      await cp(generatedDir, disk, { recursive: true });
      await appendFile(join(disk, 'launch.cpp'), '// changed\n');
      await spoil(disk);
      const before = await contents(disk);
      const error = await failureOf(build(disk));
      expect(error.code).toBe('EPGEN_IO');
      expect(error.message).toMatch(message);
      expect(await contents(disk)).toEqual(before);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

/** Leaves less room than an addon needs. */
async function fillDisk(disk: string): Promise<void> {
  const filler = join(disk, 'filler');
  execFileSync('sh', ['-c', 'cat /dev/zero > "$1" 2>/dev/null || true', 'sh', filler]);
  await truncate(filler, (await stat(filler)).size - 32 * 1024);
}

async function remountReadOnly(disk: string): Promise<void> {
  execFileSync('mount', ['-o', 'remount,ro', disk]);
}

/** Path to hash of every file but the filler. */
async function contents(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile() || file.name === 'filler') continue;
    const path = join(file.parentPath, file.name);
    hashes[path] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return hashes;
}
