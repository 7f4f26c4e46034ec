import pc from 'picocolors';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Lines of a table with two spaces between columns; the header is dimmed on a terminal. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
): string[] {
  const cells = rows.map((row) => row.map((cell) => formatCell(cell)));
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((row) => row[i]?.length ?? 0)),
  );
  const lay = (row: readonly string[]) =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return columns[i]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [pc.dim(lay(columns.map((column) => column.title))), ...cells.map(lay)];
}

function formatCell(cell: string | number): string {
  return typeof cell === 'number' ? grouped(cell) : cell;
}

/** 16384 → 16,384, whatever the locale. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
