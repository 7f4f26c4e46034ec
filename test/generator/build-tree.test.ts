import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildTreeFor } from '../../generator/build-tree.js';
import { buildAddon } from '../../generator/compile.js';
import { generate } from '../../generator/generate.js';
import { parseSpec } from '../../generator/spec.js';
import { findCommand, findToolchain } from '../../generator/toolchain.js';

const spec = parseSpec({ ranks: 2, hidden: 64 }, 'test');
let root = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'epgen-tree-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

describe('buildTreeFor', () => {
  it.each(['"', ';', '[', ']', '$', '\\'])('refuses a cache with %s in its path', async (sign) => {
    const toolchain = await findToolchain();
    vi.stubEnv('EPGEN_CACHE_DIR', join(root, `a${sign}b`));
    expect(() => buildTreeFor(root, { backend: 'cpu' }, 'g++', toolchain)).toThrow(
      expect.objectContaining({
        code: 'EPGEN_IO',
        message: expect.stringContaining(`for CMake but received ${sign} in ${root}`),
        hint: expect.stringContaining('EPGEN_CACHE_DIR'),
      }),
    );
  });

  it('takes a project whose path has such signs, where the cache has none', async () => {
    vi.stubEnv('EPGEN_CACHE_DIR', join(root, 'cache'));
    const toolchain = await findToolchain();
    expect(() =>
      buildTreeFor(join(root, 'a;$b'), { backend: 'cpu' }, 'g++', toolchain),
    ).not.toThrow();
  });
});

describe('a build tree', () => {
  it('builds what did not compile at first, in a folder that is not there yet', async () => {
    const generatedDir = join(root, spec.name);
    const files = generate(spec);
    const broken = new Map(files).set('launch.cpp', 'mistake\n');
    for (let i = 0; i < 2; i += 1) {
      const build = buildAddon({ generatedDir, files: broken, spec, backend: 'cpu' });
      await expect(build).rejects.toThrow(/launch\.cpp.*error/);
    }
    const report = await buildAddon({ generatedDir, files, spec, backend: 'cpu' });
    expect(report.upToDate).toBe(false);
  }, 180_000);

  it('survives another compiler wrapper, another name of it, and no wrapper', async () => {
    // Signs that CMake would stumble over, were the folder handed to it.
    const generatedDir = join(root, 'my [$] project;', spec.name);
    vi.stubEnv('EPGEN_CACHE_DIR', join(root, 'cache'));
    const real = await findCommand('g++');
    const wrapper = join(root, 'wrapper');
    await writeFile(wrapper, `#!/bin/sh\nexec ${real} "$@"\n`);
    await chmod(wrapper, 0o755);
    await mkdir(join(root, 'bin'));
    await symlink(real ?? '', join(root, 'bin', 'g++'));

    for (const cxx of [wrapper, undefined, join(root, 'bin', 'g++'), undefined]) {
      vi.stubEnv('CXX', cxx);
      await rm(join(generatedDir, 'addon'), { recursive: true, force: true });
      const files = generate(spec);
      const report = await buildAddon({ generatedDir, files, spec, backend: 'cpu' });
      expect(report.upToDate).toBe(false);
    }
    // The wrapper has a tree of its own; the two names of g++ share one.
    const trees = await readdir(join(root, 'cache', 'build'));
    expect(trees).toHaveLength(2);
  }, 400_000);
});
