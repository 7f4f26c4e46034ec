import type { RawAddon, RawDevice, RawProbe } from './addon-types.js';

/** Whether a machine can run an addon: on what, or why not. */
export type CudaFit =
  | { readonly fits: true; readonly machine: string }
  | { readonly fits: false; readonly problem: string; readonly hint: string };

/** What a fit depends on. */
export interface CudaNeeds {
  /** One device ordinal per rank. */
  readonly devices: readonly number[];
  readonly windows: number;
  /** Blocks of the largest call. */
  readonly numChannels: number;
  /** Builds the addon. */
  readonly buildCommand: string;
}

/** Asks the driver about the devices that a group wants; nothing is allocated or launched. */
export function cudaFit({ arch, probe }: RawAddon, needs: CudaNeeds): CudaFit {
  const { devices, buildCommand } = needs;
  const found = probe();
  if (found === null) {
    return misfit('its addon is of another backend', `Build it: ${buildCommand} --backend cuda`);
  }
  return (
    processMisfit() ??
    driverMisfit(found) ??
    deviceMisfit(found, devices) ??
    archMisfit(found, devices, arch, buildCommand) ??
    linkMisfit(found, devices) ??
    windowMisfit(found, needs) ?? { fits: true, machine: machineText(found, devices) }
  );
}

function processMisfit(): CudaFit | undefined {
  const blocking = process.env.CUDA_LAUNCH_BLOCKING;
  if (!blocking || blocking === '0') return undefined;
  return misfit(
    `CUDA_LAUNCH_BLOCKING is ${blocking}, which makes every launch wait for its kernel, and kernels wait for each other`,
    'Unset CUDA_LAUNCH_BLOCKING.',
  );
}

function driverMisfit({ driver, runtime, devices, reason }: RawProbe): CudaFit | undefined {
  const version = cudaVersion(runtime);
  if (driver === null) {
    return misfit(
      `no CUDA driver was found${reason ? `: ${reason}` : ''}`,
      `Install NVIDIA's driver for CUDA ${version} or newer.`,
    );
  }
  if (reason === null && devices.length > 0) return undefined;
  return misfit(
    `the driver, for CUDA ${cudaVersion(driver)}, offers no devices${reason ? `: ${reason}` : ''}`,
    `The addon needs a driver for CUDA ${version} or newer and devices that CUDA_VISIBLE_DEVICES does not hide.`,
  );
}

function deviceMisfit(found: RawProbe, devices: readonly number[]): CudaFit | undefined {
  const absent = devices.filter((ordinal) => deviceAt(found, ordinal) === undefined);
  if (absent.length === 0) return undefined;
  const wanted = `${devices.length} ranks want ${plural(devices.length, 'device')} ${devices.join(', ')}`;
  return misfit(
    `${wanted}, but the machine has ${describeDevices(found.devices)}`,
    `Choose from 0 to ${found.devices.length - 1} with the option devices, or build a spec of at most ${plural(found.devices.length, 'rank', true)}.`,
  );
}

function archMisfit(
  found: RawProbe,
  devices: readonly number[],
  arch: string,
  buildCommand: string,
): CudaFit | undefined {
  for (const ordinal of devices) {
    const device = deviceAt(found, ordinal);
    if (device === undefined || runs(device, arch)) continue;
    const has = `sm_${device.major}${device.minor}`;
    return misfit(
      `device ${ordinal} (${device.name}) is ${has}, and the addon was compiled for ${arch}`,
      device.major >= 9
        ? `Build it: ${buildCommand} --backend cuda --arch ${has}a`
        : 'Kernels need sm_90 or a later architecture.',
    );
  }
  return undefined;
}

/** Machine code runs on its own architecture and, without a suffix, on later ones of the same generation. */
function runs({ major, minor }: RawDevice, arch: string): boolean {
  const match = /^sm_(\d+)(\d)([af]?)$/.exec(arch);
  if (!match || Number(match[1]) !== major) return false;
  return match[3] === 'a' ? Number(match[2]) === minor : Number(match[2]) <= minor;
}

function linkMisfit({ links }: RawProbe, devices: readonly number[]): CudaFit | undefined {
  for (const from of devices) {
    for (const to of devices) {
      const link = links[from]?.[to];
      if (from === to || link === 'nvlink') continue;
      return link === 'pcie'
        ? misfit(
            `devices ${from} and ${to} are linked by PCIe, which has no atomics between devices`,
            'Choose devices that NVLink joins: nvidia-smi topo -m shows them.',
          )
        : misfit(
            `device ${from} has no access to the memory of device ${to}`,
            'Choose devices that NVLink joins: nvidia-smi topo -m shows them.',
          );
    }
  }
  return undefined;
}

/**
 * Kernels of all windows may run at once, and wait for each other: blocks that find no room until others have ended would
 * never come. A single window's calls may be told to use fewer channels.
 */
function windowMisfit(
  found: RawProbe,
  { devices, windows, numChannels }: CudaNeeds,
): CudaFit | undefined {
  if (windows === 1) return undefined;
  for (const ordinal of new Set(devices)) {
    const device = deviceAt(found, ordinal);
    const numRanks = devices.filter((other) => other === ordinal).length;
    const numBlocks = numRanks * windows * numChannels;
    if (device === undefined || numBlocks <= device.numSms) continue;
    const ranks = plural(numRanks, 'rank', true);
    return misfit(
      `${windows} windows of ${ranks} with ${numChannels} channels each are ${numBlocks} blocks at once, and device ${ordinal} (${device.name}) has ${device.numSms} SMs`,
      'Open fewer windows, or lower channels.memory.count and channels.ll in the spec and build again.',
    );
  }
  return undefined;
}

/** `8 devices (NVIDIA H200), linked by NVLink` */
function machineText(found: RawProbe, devices: readonly number[]): string {
  const text = describeDevices(devices.flatMap((ordinal) => deviceAt(found, ordinal) ?? []));
  return devices.length > 1 ? `${text}, linked by NVLink` : text;
}

function describeDevices(devices: readonly RawDevice[]): string {
  const names = [...new Set(devices.map(({ name }) => name))].join(', ');
  return `${plural(devices.length, 'device', true)}${names ? ` (${names})` : ''}`;
}

function deviceAt({ devices }: RawProbe, ordinal: number): RawDevice | undefined {
  return devices.find((device) => device.ordinal === ordinal);
}

/** 13000 is 13.0. */
function cudaVersion(number: number): string {
  return `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`;
}

function plural(count: number, noun: string, withCount = false): string {
  const text = count === 1 ? noun : `${noun}s`;
  return withCount ? `${count} ${text}` : text;
}

function misfit(problem: string, hint: string): CudaFit {
  return { fits: false, problem, hint };
}
