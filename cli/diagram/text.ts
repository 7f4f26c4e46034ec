import { wrapText } from '../../generator/wrap-text.js';

export const FONT_SIZE = 12;
export const LINE_HEIGHT = 16;
/** Of the widest usual monospace font; svg.ts asks for one. */
const CHAR_WIDTH = FONT_SIZE * 0.62;

export const textWidth = (text: string): number => Math.ceil(text.length * CHAR_WIDTH);

/** Lines of at most `width` pixels; words that are longer are cut where a name has its parts. */
export function fitText(text: string, width: number): string[] {
  const columns = Math.max(8, Math.floor(width / CHAR_WIDTH));
  const words = text
    .split(' ')
    .flatMap((word) => cut(word, columns))
    .join(' ');
  return wrapText(words, columns);
}

function cut(word: string, columns: number): string[] {
  if (word.length <= columns) return [word];
  const head = word.slice(0, columns);
  const last = Math.max(
    head.lastIndexOf('.'),
    head.lastIndexOf('_') + 1,
    head.lastIndexOf('/') + 1,
  );
  const length = last > columns / 3 ? last : columns;
  return [word.slice(0, length), ...cut(word.slice(length), columns)];
}
