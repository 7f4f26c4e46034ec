const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `2.20 GiB`; bytes without a fraction. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${UNITS[unit]}`;
}
