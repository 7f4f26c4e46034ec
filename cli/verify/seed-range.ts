import { EpgenError } from '../../generator/errors.js';

export interface SeedOptions {
  /** Of a run without any limit. */
  readonly defaultSeeds: number;
  readonly seeds?: string;
  readonly seed?: string;
  readonly budget?: string;
}

/** More than any budget buys. */
const UNLIMITED_SEEDS = 1e9;

/**
 * The seeds from the first up to but without the second: `--seed` alone is one schedule, a budget alone has no end.
 * @throws EpgenError EPGEN_ARGUMENT
 */
export function seedRange({
  seeds,
  seed,
  budget,
  defaultSeeds,
}: SeedOptions): readonly [number, number] {
  const first = seed === undefined ? 1 : wholeNumber('--seed', seed, 0);
  if (seeds !== undefined) return [first, first + wholeNumber('--seeds', seeds, 1)];
  if (seed !== undefined && budget === undefined) return [first, first + 1];
  return [first, first + (budget === undefined ? defaultSeeds : UNLIMITED_SEEDS)];
}

/** @throws EpgenError EPGEN_ARGUMENT */
export function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new EpgenError(
    `Expected ${flag} to be a whole number of at least ${least} but received ${text}`,
    { code: 'EPGEN_ARGUMENT' },
  );
}
