import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EpgenArgumentError, EpgenCudaError, EpgenToolError, openModule } from 'epgen/runtime';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type {
  RawAddon,
  RawDevice,
  RawGroupOptions,
  RawLink,
  RawProbe,
} from '../../native/addon-types.js';
import type { OpenGroupOptions } from '../../native/options.js';
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
    expect(received).toEqual({
      deadlineMs: 500,
      firstDeadlineMs: 500,
      windows: 1,
      seed: 7n,
      devices: [3, 1],
    });
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
      'Expected the options of openGroup to be among backend, devices, deadlineMs, firstDeadlineMs, windows, addonDir, seed but received device',
    ],
    [{ backend: 'gpu' }, "Expected backend to be 'auto', 'cpu' or 'cuda' but received 'gpu'"],
    [{ devices: [0] }, 'Expected devices to be 2 device ordinals, one per rank, but received [0]'],
    [
      { devices: [1, -1] },
      'Expected devices to be 2 device ordinals, one per rank, but received [1, -1]',
    ],
    [{ devices: 2 }, 'Expected devices to be 2 device ordinals, one per rank, but received 2'],
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
    [{ windows: 5 }, 'Expected windows to be an integer in 1..4 but received 5'],
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
    await expect(openModule(here())).rejects.toThrow(EpgenToolError);
    await expect(openModule(here(), { backend: 'auto' })).rejects.toThrow(
      /compiled cuda addon .* found none.*epgen build --ranks 2 --hidden 16 --backend cuda$/s,
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

  it('auto takes cuda where the machine fits, and says what it found', async () => {
    addAddon(['addon', 'cpu.node']);
    addAddon(['addon', 'cuda.node'], cudaAddon());
    const group = await openModule(here());
    expect(group.backend).toBe('cuda');
    expect(group.backendReason).toBe('2 devices (Test GPU), linked by NVLink');
    const named = await openModule(here(), { backend: 'cuda', devices: [1, 0] });
    expect(named.backendReason).toBe(
      "option backend is 'cuda': 2 devices (Test GPU), linked by NVLink",
    );
  });

  it('auto passes over a cuda addon that the machine cannot run, with one warning', async () => {
    addAddon(['addon', 'cpu.node']);
    addAddon(
      ['addon', 'cuda.node'],
      cudaAddon({ driver: null, devices: [], reason: 'no libcuda' }),
    );
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const group = await openModule(here());
    await openModule(here());
    const reason = 'no CUDA driver was found: no libcuda';
    expect(group.backend).toBe('cpu');
    expect(group.backendReason).toBe(reason);
    expect(warn.mock.calls).toEqual([[`epgen runs on the cpu backend: ${reason}`]]);
  });

  it.each<[string, Partial<RawProbe>, OpenGroupOptions, string]>([
    [
      'no driver',
      { driver: null, devices: [], reason: 'no libcuda' },
      {},
      "no CUDA driver was found: no libcuda\nInstall NVIDIA's driver for CUDA 13.0 or newer. backend: 'cpu' runs without devices.",
    ],
    [
      'no devices',
      { devices: [], reason: 'hidden' },
      {},
      'the driver, for CUDA 13.0, offers no devices: hidden',
    ],
    [
      'too few devices',
      { devices: [device(0)] },
      {},
      '2 ranks want devices 0, 1, but the machine has 1 device (Test GPU)\nChoose from 0 to 0',
    ],
    [
      'a device that is not there',
      {},
      { devices: [0, 5] },
      '2 ranks want devices 0, 5, but the machine has 2 devices (Test GPU)',
    ],
    [
      'another architecture',
      { devices: [device(0), { ...device(1), major: 10 }] },
      {},
      'device 1 (Test GPU) is sm_100, and the addon was compiled for sm_90a\nBuild it: epgen build --ranks 2 --hidden 16 --backend cuda --arch sm_100a',
    ],
    [
      'an old architecture',
      { devices: [{ ...device(0), major: 8 }, device(1)] },
      {},
      'device 0 (Test GPU) is sm_80, and the addon was compiled for sm_90a\nKernels need sm_90',
    ],
    [
      'no access between devices',
      { links: links('none') },
      {},
      'device 0 has no access to the memory of device 1',
    ],
    [
      'PCIe between devices',
      { links: links('pcie') },
      {},
      'devices 0 and 1 are linked by PCIe, which has no atomics between devices',
    ],
    [
      'windows whose blocks do not fit on a device at once',
      {},
      { devices: [1, 1], windows: 3 },
      '3 windows of 2 ranks with 4 channels each are 24 blocks at once, and device 1 (Test GPU) has 16 SMs\nOpen fewer windows',
    ],
  ])('cuda is refused before anything is opened: %s', async (_name, found, options, problem) => {
    const openGroup = () => {
      throw new Error('opened');
    };
    addAddon(['addon', 'cuda.node'], { ...cudaAddon(found), openGroup });
    const pending = openModule(here(), { ...options, backend: 'cuda' });
    await expect(pending).rejects.toThrow(EpgenCudaError);
    await expect(pending).rejects.toThrow(`Expected to run ep2_h16_bf16 on cuda, but ${problem}`);
  });

  it('cuda is refused where launches wait for their kernels', async () => {
    addAddon(['addon', 'cuda.node'], cudaAddon());
    vi.stubEnv('CUDA_LAUNCH_BLOCKING', '1');
    await expect(openModule(here(), { backend: 'cuda' })).rejects.toThrow(
      /CUDA_LAUNCH_BLOCKING is 1/,
    );
  });

  it('says how much memory was wanted for what', async () => {
    const openGroup = () => {
      throw rawError('EPGEN_CUDA', 'cudaMalloc of 9 bytes for the window of rank 1 failed', {
        kind: 'cuda',
        name: 'cudaErrorMemoryAllocation',
      });
    };
    addAddon(['addon', 'cuda.node'], { ...cudaAddon(), openGroup });
    await expect(openModule(here())).rejects.toThrow(
      /9 bytes for the window of rank 1 failed\n.*arenaBytes/,
    );
  });
});

function device(ordinal: number): RawDevice {
  return {
    ordinal,
    name: 'Test GPU',
    major: 9,
    minor: 0,
    numSms: 16,
    totalBytes: 1 << 30,
    pciBusId: '',
  };
}

function links(link: RawLink): RawLink[][] {
  return [0, 1].map((from) => [0, 1].map((to) => (from === to ? 'self' : link)));
}

/** A cuda addon on a machine with two fitting devices, but for what a test changes. */
function cudaAddon(found: Partial<RawProbe> = {}): RawAddon {
  const probe: RawProbe = {
    driver: 13000,
    runtime: 13000,
    devices: [device(0), device(1)],
    links: links('nvlink'),
    peerAccess: [],
    reason: null,
    ...found,
  };
  return {
    ...fakeAddon(new FakeRawGroup()),
    backend: 'cuda',
    arch: 'sm_90a',
    probe: () => probe,
  };
}
