import type { BenchResult } from './bench.js';
import type { Spread } from './statistics.js';

/** Lines of at most 80 columns that tell a result. */
export function reportLines(result: BenchResult): string[] {
  const { spec, machine, numTokens, operations, wire, windows } = result;
  const gpu = machine.gpus[0]?.name ?? 'unknown GPU';
  const numRounds = windows[0]?.dispatch.length ?? 0;
  const limit = wire?.rates.find(({ way }) => way === 'copy engine');
  const share = (gbPerS: number) =>
    limit === undefined ? '' : `${((100 * gbPerS) / limit.gbPerS).toFixed(0)} %`;
  const rows = [
    ...operations.map(({ operation, us, remoteBytes, gbPerS }) => [
      operation,
      megabytes(remoteBytes),
      us.median.toFixed(1),
      spread(us),
      gbPerS.toFixed(0),
      share(gbPerS),
    ]),
    ...(wire?.rates ?? []).map(({ way, us, gbPerS }) => [
      `wire, ${way}`,
      megabytes(us * gbPerS * 1e3),
      us.toFixed(1),
      '',
      gbPerS.toFixed(0),
      share(gbPerS),
    ]),
  ];
  return [
    `${spec.name}: ${spec.ranks} × ${gpu}, driver ${machine.driver ?? 'unknown'}`,
    `${numTokens} tokens a rank, top-${spec.topk} of ${spec.experts}, uniform; ${windows.length} routings of ${numRounds} rounds`,
    '',
    ...table(1, ['', 'MB out', 'µs', 'windows', 'GB/s', 'of wire'], rows),
    '',
    'µs: slowest rank, median of the windows; MB and GB/s: what leaves a rank.',
    ...(wire === null ? ['The wire was not measured: no --probe was given.'] : []),
    ...(result.dirty.length > 0 ? [`${result.dirty.length} files differ from the commit.`] : []),
  ];
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function spread({ min, max }: Spread): string {
  return `${min.toFixed(1)}–${max.toFixed(1)}`;
}

/** The first columns left, the others right. */
export function table(
  numLeft: number,
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  return [titles, ...rows].map((row) =>
    row
      .map((cell, i) => (i < numLeft ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
