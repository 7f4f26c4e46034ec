/** A whole number in [0, limit), limit ≤ 2³². */
export type Random = (limit: number) => number;

/** A generator whose numbers depend on the given words only (splitmix32 of their hash). */
export function randomFrom(...words: readonly number[]): Random {
  let state = words.reduce((hash, word) => mix((hash ^ word) + 0x9e3779b9), 0);
  return (limit) => {
    state = (state + 0x9e3779b9) >>> 0;
    return Math.floor((mix(state) / 2 ** 32) * limit);
  };
}

function mix(word: number): number {
  let hash = word >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}
