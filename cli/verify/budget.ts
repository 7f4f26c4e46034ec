import { EpgenError } from '../../generator/errors.js';

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** Seconds of a text such as `60s`, `5m` or `500ms`. */
export function parseBudget(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const seconds = Number(number) * (UNITS[unit] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new EpgenError(
    `Expected --budget to be a time such as 60s, 5m or 500ms but received ${text}`,
    { code: 'EPGEN_ARGUMENT' },
  );
}
