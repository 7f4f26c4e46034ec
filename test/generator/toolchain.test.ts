import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  aptLine,
  compareVersions,
  findToolchain,
  missingTools,
  requireTools,
} from '../../generator/toolchain.js';

let bin = '';

beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), 'epgen-toolchain-'));
});
afterAll(() => rm(bin, { recursive: true }));

async function fakeTool(name: string, output: string): Promise<void> {
  const path = join(bin, name);
  await writeFile(path, `#!/bin/sh\nprintf '%s\\n' '${output}'\n`);
  await chmod(path, 0o755);
}

describe('findToolchain', () => {
  it('names every missing tool and one line that installs them all', async () => {
    const missing = missingTools(await findToolchain({ PATH: bin }));
    expect(missing.map((one) => one.name)).toEqual([
      'g++',
      'cmake',
      'ninja or make',
      'boost context',
    ]);
    expect(aptLine(missing)).toBe(
      'sudo apt-get update && sudo apt-get install -y --no-install-recommends ' +
        'g++ cmake ninja-build make libboost-context-dev',
    );
  });

  it('reads the version that each tool prints', async () => {
    await fakeTool('g++', '12.2.0');
    await fakeTool('cmake', 'cmake version 3.25.1');
    await fakeTool('ninja', '1.13.0.git.kitware.jobserver-pipe-1');
    await fakeTool('nvcc', 'Cuda compilation tools, release 13.0, V13.0.88');
    const { compiler, cmake, generator, nvcc, boost } = await findToolchain({ PATH: bin });
    expect([compiler, cmake, generator, nvcc].map((one) => one.version)).toEqual([
      '12.2.0',
      '3.25.1',
      '1.13.0',
      '13.0.88',
    ]);
    expect(boost.problem).toBe('no header boost/context/fiber.hpp');
  });

  it('takes make where there is no ninja', async () => {
    await rm(join(bin, 'ninja'));
    await fakeTool('make', 'GNU Make 4.3');
    const { generator } = await findToolchain({ PATH: bin });
    expect(generator).toMatchObject({ name: 'ninja or make', version: '4.3' });
    expect(generator.problem).toBeUndefined();
  });

  it('refuses a compiler that is too old, with both versions', async () => {
    await fakeTool('g++', '9.4.0');
    const toolchain = await findToolchain({ PATH: bin });
    expect(() => requireTools(toolchain, 'cpu')).toThrow(
      /g\+\+ .*: Expected version 11 or newer but found 9\.4\.0/,
    );
  });

  it('finds all that this machine needs to run these tests', async () => {
    expect(missingTools(await findToolchain())).toEqual([]);
  });
});

describe('compareVersions', () => {
  it.each([
    ['3.25.1', '3.22', 1],
    ['3.9', '3.22', -1],
    ['11', '11.0', 0],
  ])('%s against %s', (a, b, want) => {
    expect(Math.sign(compareVersions(a, b))).toBe(want);
  });
});
