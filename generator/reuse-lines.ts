import type { ReuseEdge } from './reuse.js';

/** What the table calls the phases of low-latency calls. */
const LOW_LATENCY_PHASES = [
  'send and receive are the phases of a low-latency dispatch e, in plan.json S(e) and R(e); publish and pull are the',
  'send and the receive of a low-latency combine g, P(g) and Q(g)',
];

/** The reuse table as lines of a comment, in columns; behind it what needs to be said of its words. */
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
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd(),
  );
  const hasLowLatency = edges.some(({ region }) => region.startsWith('ll_'));
  return hasLowLatency ? [...lines, ...LOW_LATENCY_PHASES] : lines;
}
