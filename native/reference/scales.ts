import { at } from './at.js';

/** Scales lie beside their token, as 4-byte words: [tokens][words], or [words][columnWords]. */
export interface ScaleShape {
  /** 4-byte words of scales for each token. */
  readonly words: number;
  /** Words from one column to the next, where the scales of a token do not lie side by side. */
  readonly columnWords?: number;
}

/** Where word `word` of row `row` lies. */
export function scaleIndex({ words, columnWords }: ScaleShape, row: number, word: number): number {
  return columnWords === undefined ? row * words + word : word * columnWords + row;
}

/** How many words hold the scales of `numRows` rows. */
export function scaleLength({ words, columnWords }: ScaleShape, numRows: number): number {
  return words * (columnWords ?? numRows);
}

/** The same scales, [tokens][words], as [words][tokens]. */
export function scaleColumns(scales: Uint32Array, words: number): Uint32Array {
  const numTokens = scales.length / words;
  return Uint32Array.from(scales, (_, i) =>
    at(scales, (i % numTokens) * words + Math.floor(i / numTokens)),
  );
}

/** UE8M0 scales (exponents biased by 127), four to a word, the first in the least significant byte. */
export function packUe8m0(codes: Uint8Array): Uint32Array {
  return Uint32Array.from({ length: codes.length / 4 }, (_, word) =>
    [0, 1, 2, 3].reduce((packed, i) => packed + at(codes, 4 * word + i) * 2 ** (8 * i), 0),
  );
}

export function unpackUe8m0(words: Uint32Array): Uint8Array {
  return Uint8Array.from({ length: words.length * 4 }, (_, i) =>
    Math.floor(at(words, Math.floor(i / 4)) / 2 ** (8 * (i % 4))),
  );
}
