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
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type BuildOptions, buildAddon, buildAddons } from '../../generator/compile.js';
import { EpgenError, EpgenToolError } from '../../generator/errors.js';
import { generate, generateTo } from '../../generator/generate.js';
import { parseSpec, specHash } from '../../generator/spec.js';
import { findCommand } from '../../generator/toolchain.js';
import type { RawAddon } from '../../native/addon-types.js';

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

  it('makes an addon again whose bytes are others, though as many', async () => {
    const path = join(generatedDir, 'addon', 'cpu.node');
    const good = await readFile(path);
    await writeFile(path, Buffer.alloc(good.length));
    expect(await build()).toMatchObject({ upToDate: false });
    // Compared here: expect takes half a minute over megabytes.
    expect(good.equals(await readFile(path))).toBe(true);
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
    expect(before.equals(await readFile(join(dir, 'addon', 'cpu.node')))).toBe(true);
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

const hasNvcc = (await findCommand('nvcc')) !== undefined;

describe.skipIf(!hasNvcc)('buildAddon for cuda (needs nvcc)', () => {
  const buildCuda = (arch?: string) =>
    buildAddon({ generatedDir, spec, backend: 'cuda', ...(arch ? { arch } : {}) });

  it.each([undefined, 'sm_100a'])(
    'arch %s: an addon that needs no driver to load',
    async (arch) => {
      const report = await buildCuda(arch);
      expect(report).toMatchObject({ backend: 'cuda', arch: arch ?? 'sm_90a' });
      expect(report.kernels?.map(({ name }) => name)).toEqual([
        'dispatch',
        'combine',
        'dispatch_layout',
      ]);
      const record = JSON.parse(await readFile(join(generatedDir, 'addon', 'build.json'), 'utf8'));
      expect(record.cuda).toMatchObject({ arch: report.arch, kernels: report.kernels });
      const addon = createRequire(import.meta.url)(report.addonPath) as RawAddon;
      expect(addon).toMatchObject({ name: spec.name, backend: 'cuda' });
      expect(addon.probe()).toMatchObject({ runtime: expect.any(Number) });
      const needs = execFileSync('ldd', [report.addonPath], { encoding: 'utf8' });
      expect(needs).not.toMatch(/libcuda|libcudart|libstdc\+\+/);
      expect(await buildCuda(arch)).toMatchObject({ upToDate: true });
    },
    180_000,
  );
});

describe('buildAddon with new text for a module that works', () => {
  const changed = { ...parseSpec({ ranks: 2, hidden: 64, topk: 4 }, 'test'), name: spec.name };
  const buildChanged = (dir: string, files = generate(changed)) =>
    buildAddon({ generatedDir: dir, files, spec: changed, backend: 'cpu' });
  const buildBoth = (dir: string, options: Pick<BuildOptions, 'files' | 'onProgress'> = {}) =>
    buildAddons({
      generatedDir: dir,
      files: generate(changed),
      spec: changed,
      targets: [{ backend: 'cpu' }, { backend: 'cuda', arch: 'sm_90a' }],
      ...options,
    });
  let dir = '';
  let before: Record<string, string> = {};

  beforeAll(async () => {
    await build();
    dir = join(root, 'changed', spec.name);
    await cp(generatedDir, dir, { recursive: true });
    before = await contents(dir);
  });

  it('leaves all of it when the compiler is missing', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    try {
      expect((await failureOf(buildChanged(dir))).code).toBe('EPGEN_TOOL');
    } finally {
      vi.unstubAllEnvs();
    }
    expect(await contents(dir)).toEqual(before);
  });

  it('leaves all of it when the text does not compile', async () => {
    const files = new Map(generate(changed)).set('launch.cpp', 'mistake\n');
    expect((await failureOf(buildChanged(dir, files))).code).toBe('EPGEN_COMPILE');
    expect(await contents(dir)).toEqual(before);
  });

  it('leaves all of it, and starts no compiler, when another backend lacks its own', async () => {
    const tools = join(root, 'tools');
    await mkdir(tools);
    const nvcc = "#!/bin/sh\necho 'Cuda compilation tools, release 11.0, V11.0.1'\n";
    await writeFile(join(tools, 'nvcc'), nvcc, { mode: 0o755 });
    vi.stubEnv('PATH', `${tools}:${process.env.PATH}`);
    const onProgress = vi.fn();
    try {
      const error = await failureOf(buildBoth(dir, { onProgress }));
      expect(error.message).toMatch(
        /Missing for the CUDA backend:\n.*Expected version 12\.5 or newer but found 11\.0\.1/,
      );
    } finally {
      vi.unstubAllEnvs();
    }
    expect(onProgress).not.toHaveBeenCalled();
    expect(await contents(dir)).toEqual(before);
  });

  it.skipIf(!hasNvcc)(
    'leaves all of it when one backend compiles and the next does not',
    async () => {
      const files = new Map(generate(changed));
      const mistake = '#ifdef __CUDACC__\n#error planted\n#endif\n';
      files.set('combine.cu', `${files.get('combine.cu')}${mistake}`);
      const onProgress = vi.fn();
      const error = await failureOf(buildBoth(dir, { files, onProgress }));
      expect(error.message).toMatch(/combine\.cu.*error.*planted/);
      const loaded = onProgress.mock.calls.filter(([{ step }]) => step === 'load');
      expect(loaded.map(([, backend]) => backend)).toEqual(['cpu']);
      expect(await contents(dir)).toEqual(before);
    },
    180_000,
  );

  it.skipIf(!canMount)('leaves all of it when the disk is full', async () => {
    const disk = join(root, 'full');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
    try {
      await cp(generatedDir, disk, { recursive: true });
      await fillDisk(disk, 512 * 1024);
      const old = await contents(disk);
      const error = await failureOf(buildChanged(disk));
      expect(error.message).toMatch(/cpu\.node: no space is left on the device/);
      expect(await contents(disk)).toEqual(old);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('brings text, wrapper and addon together', async () => {
    const report = await buildChanged(dir);
    expect(report).toMatchObject({ upToDate: false });
    expect(report.text.written).toContain('spec.json');
    for (const [name, text] of generate(changed)) {
      expect(await readFile(join(dir, name), 'utf8')).toBe(text);
    }
    const loaded = { exports: {} as { specHash?: string } };
    process.dlopen(loaded, report.addonPath);
    expect(loaded.exports.specHash).toBe(specHash(changed));
    expect(await readFile(join(dir, 'index.js'), 'utf8')).toContain(specHash(changed));
    expect(await buildChanged(dir)).toMatchObject({ upToDate: true, text: { written: [] } });
    expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

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
async function fillDisk(disk: string, room = 32 * 1024): Promise<void> {
  const filler = join(disk, 'filler');
  execFileSync('sh', ['-c', 'cat /dev/zero > "$1" 2>/dev/null || true', 'sh', filler]);
  await truncate(filler, (await stat(filler)).size - room);
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
