import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import type { ModuleDescription } from './spec-types.js';

/** Where kernels run: `cuda` on GPUs, `cpu` on the emulated machine, `auto` on cuda if it can be. */
export type Backend = 'auto' | 'cpu' | 'cuda';

/** How a group is opened. */
export interface OpenGroupOptions {
  /** Default: `auto`, which the environment variable EPGEN_BACKEND may replace. */
  readonly backend?: Backend | undefined;
  /**
   * One device ordinal per rank. Default: 0, 1, 2, ... Ranks may share a device, to try a spec on fewer GPUs than it has
   * ranks: the blocks of all their kernels must then fit on it at once, and their streams into its queues
   * (CUDA_DEVICE_MAX_CONNECTIONS=32), or calls time out. The cpu backend only shows them as `rank.device`.
   */
  readonly devices?: readonly number[] | undefined;
  /** How long any wait inside a call may last, in milliseconds, before the call rejects. Default: 10000. */
  readonly deadlineMs?: number | undefined;
  /** The same for the first call of every rank, which may start late. Default: `deadlineMs`. */
  readonly firstDeadlineMs?: number | undefined;
  /**
   * How many symmetric windows every rank has, 1 to 4. Calls on different windows may run at once; each takes as much
   * memory again. Default: 1.
   */
  readonly windows?: number | undefined;
  /** Where compiled addons lie: `<addonDir>/<name>/<backend>.node` or `<addonDir>/<backend>.node`. Default: EPGEN_ADDON_DIR, then `addon/` beside the module. */
  readonly addonDir?: string | undefined;
  /** Seed of the cpu backend's scheduler, a whole number below 2^64. Default: 0. */
  readonly seed?: number | bigint | undefined;
}

/** Options that were found right, with defaults. */
export interface CheckedOptions {
  readonly backend: Backend;
  readonly devices: readonly number[];
  readonly deadlineMs: number;
  readonly firstDeadlineMs: number;
  readonly windows: number;
  readonly addonDir: string | undefined;
  readonly seed: bigint;
}

const KEYS = ['backend', 'devices', 'deadlineMs', 'firstDeadlineMs', 'windows', 'addonDir', 'seed'];
const MAX_WINDOWS = 4;
const DEFAULT_DEADLINE_MS = 10_000;
/** What a timer holds; longer waits are no deadlines. */
const MAX_DEADLINE_MS = 2 ** 31 - 1;

export function checkOptions(options: unknown, { spec }: ModuleDescription): CheckedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new EpgenArgumentError(
      `Expected the options of openGroup to be an object but received ${describe(options)}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (KEYS.includes(key)) continue;
    throw new EpgenArgumentError(
      `Expected the options of openGroup to be among ${KEYS.join(', ')} but received ${key}`,
    );
  }
  const given: Record<string, unknown> = { ...options };
  const { backend, devices, deadlineMs, firstDeadlineMs, windows, addonDir, seed } = given;
  const checkedDeadline = checkDeadline('deadlineMs', deadlineMs, DEFAULT_DEADLINE_MS);
  return {
    backend: checkBackend('backend', backend),
    devices: checkDevices(devices, spec.ranks),
    deadlineMs: checkedDeadline,
    firstDeadlineMs: checkDeadline('firstDeadlineMs', firstDeadlineMs, checkedDeadline),
    windows: checkWindows(windows),
    addonDir: checkAddonDir(addonDir),
    seed: checkSeed(seed),
  };
}

/** Checks the name of a backend; undefined is `auto`. */
export function checkBackend(name: string, value: unknown): Backend {
  if (value === undefined) return 'auto';
  if (value === 'auto' || value === 'cpu' || value === 'cuda') return value;
  throw new EpgenArgumentError(
    `Expected ${name} to be 'auto', 'cpu' or 'cuda' but received ${describe(value)}`,
  );
}

function checkDevices(value: unknown, numRanks: number): readonly number[] {
  if (value === undefined) return Array.from({ length: numRanks }, (_, i) => i);
  const isRight =
    Array.isArray(value) &&
    value.length === numRanks &&
    value.every((device) => Number.isInteger(device) && device >= 0);
  if (isRight) return [...value];
  const received = Array.isArray(value) ? `[${value.join(', ')}]` : describe(value);
  throw new EpgenArgumentError(
    `Expected devices to be ${numRanks} device ordinals, one per rank, but received ${received}`,
  );
}

function checkDeadline(name: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value > 0 && value <= MAX_DEADLINE_MS) return value;
  throw new EpgenArgumentError(
    `Expected ${name} to be milliseconds above 0 and at most ${MAX_DEADLINE_MS} but received ${describe(value)}`,
  );
}

function checkWindows(value: unknown): number {
  if (value === undefined) return 1;
  const isRight = typeof value === 'number' && Number.isInteger(value);
  if (isRight && value >= 1 && value <= MAX_WINDOWS) return value;
  throw new EpgenArgumentError(
    `Expected windows to be an integer in 1..${MAX_WINDOWS} but received ${describe(value)}`,
  );
}

function checkAddonDir(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new EpgenArgumentError(`Expected addonDir to be a path but received ${describe(value)}`);
}

function checkSeed(value: unknown): bigint {
  if (value === undefined) return 0n;
  const isWhole =
    typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  if (isWhole && value >= 0 && BigInt(value) < 1n << 64n) return BigInt(value);
  throw new EpgenArgumentError(
    `Expected seed to be a whole number below 2^64 but received ${describe(value)}`,
  );
}
