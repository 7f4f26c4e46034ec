import type { ReuseEdge } from './reuse.js';

/** The reuse table as lines of a comment, in columns. */
export function reuseLines(edges: readonly ReuseEdge[]): string[] {
  const rows = edges.map(({ region, earlier, later, distance, provenBy }) => [
    region,
    earlier,
    later,
    distance === 0 ? 'same' : `+${distance}`,
    provenBy,
  ]);
  const titles = ['region', 'earlier', 'later', 'call', 'proven by'];
  const table = [titles, ...rows];
  const widths = titles.map((_, column) =>
    Math.max(...table.map((row) => (row[column] as string).length)),
  );
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd(),
  );
}
