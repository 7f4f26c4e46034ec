import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  EpgenArgumentError,
  EpgenToolError,
  EpgenUnsupportedError,
  openModule,
} from 'epgen/runtime';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RawAddon, RawGroupOptions } from '../../native/addon-types.js';
import { description, FakeRawGroup, fakeAddon, rawError, spec } from './fake-addon.js';

let folder: string;
let addons: Map<string, RawAddon>;
const { extensions } = createRequire(import.meta.url);
const loadNative = extensions['.node'];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'epgen-open-'));
  addons = new Map();
  // Files that the test made stand for compiled addons; any other goes the ordinary way.
  extensions['.node'] = (loaded, path) => {
    const addon = addons.get(path);
    if (addon === undefined) return loadNative?.(loaded, path);
    loaded.exports = addon;
  };
  vi.stubEnv('EPGEN_BACKEND', '');
  vi.stubEnv('EPGEN_ADDON_DIR', '');
});

afterEach(() => {
  if (loadNative !== undefined) extensions['.node'] = loadNative;
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const here = () => ({ ...description, url: pathToFileURL(join(folder, 'index.js')).href });

function addAddon(
  path: readonly string[],
  addon: RawAddon = fakeAddon(new FakeRawGroup()),
): string {
  const file = join(folder, ...path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '');
  addons.set(file, addon);
  return file;
}

describe('openModule', () => {
  it('opens the addon beside the module', async () => {
    const raw = new FakeRawGroup();
    let received: RawGroupOptions | undefined;
    const openGroup = (options: RawGroupOptions) => {
      received = options;
      return raw;
    };
    addAddon(['addon', 'cpu.node'], { ...fakeAddon(raw), openGroup });
    const group = await openModule(here(), { deadlineMs: 500, seed: 7, devices: [3, 1] });
    expect(received).toEqual({ deadlineMs: 500, firstDeadlineMs: 500, seed: 7n });
    expect(group.numRanks).toBe(2);
    expect(group.ranks.map(({ index, device }) => [index, device])).toEqual([
      [0, 3],
      [1, 1],
    ]);
    expect(group.backend).toBe('cpu');
    expect(group.backendReason).toBe('no cuda addon of ep2_h16_bf16 was built');
    await group.dispose();
  });

  it.each<[string, readonly string[]]>([
    ['its folder', ['dir', spec.name, 'cpu.node']],
    ['the folder itself', ['dir', 'cpu.node']],
  ])('takes addonDir before EPGEN_ADDON_DIR, and finds the addon in %s', async (_name, path) => {
    const marked = (mark: string) => ({
      ...fakeAddon(new FakeRawGroup()),
      openGroup: () => {
        throw new Error(mark);
      },
    });
    addAddon(['addon', 'cpu.node'], marked('beside'));
    await expect(openModule(here())).rejects.toThrow('beside');
    addAddon(['env', 'cpu.node'], marked('environment'));
    vi.stubEnv('EPGEN_ADDON_DIR', join(folder, 'env'));
    await expect(openModule(here())).rejects.toThrow('environment');
    addAddon(path, marked('option'));
    const addonDir = join(folder, 'dir');
    await expect(openModule(here(), { addonDir })).rejects.toThrow('option');
  });

  it('lists every place that it looked at, and says how to build', async () => {
    vi.stubEnv('EPGEN_ADDON_DIR', '/env');
    const pending = openModule(here(), { addonDir: '/opt/addons' });
    await expect(pending).rejects.toThrow(
      new EpgenToolError(
        [
          'Expected a compiled cpu addon of ep2_h16_bf16 but found none:',
          '  /opt/addons/ep2_h16_bf16/cpu.node (option addonDir)',
          '  /opt/addons/cpu.node (option addonDir)',
          '  /env/ep2_h16_bf16/cpu.node (EPGEN_ADDON_DIR)',
          '  /env/cpu.node (EPGEN_ADDON_DIR)',
          `  ${join(folder, 'addon', 'cpu.node')} (beside the module)`,
        ].join('\n'),
        { hint: 'Build it: epgen build --ranks 2 --hidden 16' },
      ),
    );
  });

  it('refuses an addon of another spec', async () => {
    const file = addAddon(['addon', 'cpu.node'], fakeAddon(new FakeRawGroup(), 'e'.repeat(64)));
    await expect(openModule(here())).rejects.toThrow(
      `Expected ${file} to be built from spec ep2_h16_bf16 (hash ffffffffffffffff) but it was built from ep2_h16_bf16 (hash eeeeeeeeeeeeeeee)\nRebuild it: epgen build --ranks 2 --hidden 16`,
    );
  });

  it('says why an addon does not load', async () => {
    mkdirSync(join(folder, 'addon'));
    writeFileSync(join(folder, 'addon', 'cpu.node'), 'not a library');
    const pending = openModule(here());
    await expect(pending).rejects.toThrow(EpgenToolError);
    await expect(pending).rejects.toThrow(
      /^Expected to load .*cpu\.node, but Node could not: .*\nRebuild it on this machine: epgen build/s,
    );
  });

  it('turns what the addon throws into its own errors', async () => {
    const openGroup = () => {
      throw rawError('EPGEN_ARGUMENT', 'cannot reserve 2 TiB');
    };
    addAddon(['addon', 'cpu.node'], { ...fakeAddon(new FakeRawGroup()), openGroup });
    await expect(openModule(here())).rejects.toThrow(
      new EpgenArgumentError('cannot reserve 2 TiB'),
    );
  });

  it.each([
    [null, 'Expected the options of openGroup to be an object but received null'],
    [
      { device: 1 },
      'Expected the options of openGroup to be among backend, devices, deadlineMs, firstDeadlineMs, addonDir, seed but received device',
    ],
    [{ backend: 'gpu' }, "Expected backend to be 'auto', 'cpu' or 'cuda' but received 'gpu'"],
    [
      { devices: [0] },
      'Expected devices to be 2 different device ordinals, one per rank, but received [0]',
    ],
    [
      { devices: [1, 1] },
      'Expected devices to be 2 different device ordinals, one per rank, but received [1, 1]',
    ],
    [
      { devices: 2 },
      'Expected devices to be 2 different device ordinals, one per rank, but received 2',
    ],
    [
      { deadlineMs: 0 },
      'Expected deadlineMs to be milliseconds above 0 and at most 2147483647 but received 0',
    ],
    [
      { firstDeadlineMs: Number.POSITIVE_INFINITY },
      'Expected firstDeadlineMs to be milliseconds above 0 and at most 2147483647 but received Infinity',
    ],
    [
      { deadlineMs: '5' },
      "Expected deadlineMs to be milliseconds above 0 and at most 2147483647 but received '5'",
    ],
    [{ addonDir: '' }, "Expected addonDir to be a path but received ''"],
    [{ seed: 1.5 }, 'Expected seed to be a whole number below 2^64 but received 1.5'],
    [
      { seed: 1n << 64n },
      'Expected seed to be a whole number below 2^64 but received 18446744073709551616n',
    ],
  ])('refuses the options %o', async (options, message) => {
    addAddon(['addon', 'cpu.node']);
    await expect(openModule(here(), options as never)).rejects.toThrow(
      new EpgenArgumentError(message),
    );
  });
});

describe('backend', () => {
  it('is replaced by EPGEN_BACKEND only where it is auto', async () => {
    addAddon(['addon', 'cpu.node']);
    vi.stubEnv('EPGEN_BACKEND', 'cuda');
    await expect(openModule(here())).rejects.toThrow(EpgenUnsupportedError);
    await expect(openModule(here(), { backend: 'auto' })).rejects.toThrow(
      "Expected EPGEN_BACKEND to be a backend that this version runs, 'cpu', but received 'cuda'",
    );
    const named = await openModule(here(), { backend: 'cpu' });
    expect(named.backendReason).toBe("option backend is 'cpu'");
    vi.stubEnv('EPGEN_BACKEND', 'cpu');
    expect((await openModule(here())).backendReason).toBe("EPGEN_BACKEND is 'cpu'");
    vi.stubEnv('EPGEN_BACKEND', 'gpu');
    await expect(openModule(here())).rejects.toThrow(
      new EpgenArgumentError(
        "Expected EPGEN_BACKEND to be 'auto', 'cpu' or 'cuda' but received 'gpu'",
      ),
    );
  });

  it('cuda is refused by name', async () => {
    addAddon(['addon', 'cuda.node']);
    await expect(openModule(here(), { backend: 'cuda' })).rejects.toThrow(
      "Expected option backend to be a backend that this version runs, 'cpu', but received 'cuda'",
    );
  });

  it('passes over a cuda addon with one warning', async () => {
    addAddon(['addon', 'cpu.node']);
    const cuda = addAddon(['addon', 'cuda.node']);
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const group = await openModule(here());
    await openModule(here());
    const reason = `this version does not run cuda addons, so ${cuda} was passed over`;
    expect(group.backend).toBe('cpu');
    expect(group.backendReason).toBe(reason);
    expect(warn.mock.calls).toEqual([[`epgen runs on the cpu backend: ${reason}`]]);
  });
});
