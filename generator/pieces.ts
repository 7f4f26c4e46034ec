import { VECTOR_BYTES } from './dtype.js';
import { roundUp } from './round.js';

/** How a row is cut for its way through shared memory. */
export interface Pieces {
  readonly pieceBytes: number;
  readonly piecesPerRow: number;
  readonly lastPieceBytes: number;
}

/** A piece costs about 0.3 µs of its channel whatever its size, up to about 7 KB (test/bench/LOG.md). */
export const MAX_AUTO_PIECE_BYTES = 8192;
/** One 16-byte vector for each lane of a warp. */
const WARP_BYTES = 512;

/** Cuts a row into the fewest equal pieces of at most 8192 bytes, of whole warps' vectors where the row is so too. */
export function piecesOfRow(rowBytes: number, asked: number | 'auto' = 'auto'): Pieces {
  const pieceBytes = asked === 'auto' ? autoPieceBytes(rowBytes) : Math.min(asked, rowBytes);
  const piecesPerRow = Math.ceil(rowBytes / pieceBytes);
  return { pieceBytes, piecesPerRow, lastPieceBytes: rowBytes - (piecesPerRow - 1) * pieceBytes };
}

function autoPieceBytes(rowBytes: number): number {
  const numPieces = Math.ceil(rowBytes / MAX_AUTO_PIECE_BYTES);
  return roundUp(Math.ceil(rowBytes / numPieces), pieceUnit(rowBytes));
}

/** What pieces are whole multiples of, where a spec leaves them to us. */
export function pieceUnit(rowBytes: number): number {
  return rowBytes % WARP_BYTES === 0 ? WARP_BYTES : VECTOR_BYTES;
}
