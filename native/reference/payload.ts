import { at } from './at.js';
import { type Bits, zerosLike } from './bits.js';
import { type ScaleShape, scaleIndex, scaleLength } from './scales.js';

/** What travels of a token whatever its experts are. */
export interface PayloadShape {
  /** Elements of a row of x. */
  readonly hidden: number;
  /** Default: no scales. */
  readonly scales?: ScaleShape;
  /** Opaque bytes beside each token. Default: none. */
  readonly extraBytes?: number;
}

export interface Payload<X extends Bits = Bits> {
  /** Bits [rows][hidden]. */
  readonly x: X;
  /** As the shape's `scales` has them. */
  readonly xScales?: Uint32Array;
  /** u8 [rows][extraBytes]. */
  readonly extras?: Uint8Array;
}

/** One row of one payload becomes one row of another. */
export interface Move {
  readonly from: number;
  readonly fromRow: number;
  readonly row: number;
}

/** Rows of several payloads of one kind, moved into one of `numRows`; zeros where nothing was moved to. */
export function movePayload<X extends Bits>(
  shape: PayloadShape,
  from: readonly { readonly payload: Payload<X>; readonly scales?: ScaleShape }[],
  moves: readonly Move[],
  numRows: number,
): Payload<X> {
  const { hidden, scales, extraBytes = 0 } = shape;
  const x = zerosLike(at(from, 0).payload.x, numRows * hidden);
  const extras = new Uint8Array(numRows * extraBytes);
  const xScales = new Uint32Array(scales === undefined ? 0 : scaleLength(scales, numRows));
  for (const { from: source, fromRow, row } of moves) {
    const { payload, scales: fromScales } = at(from, source);
    x.set(payload.x.subarray(fromRow * hidden, (fromRow + 1) * hidden), row * hidden);
    for (let i = 0; i < extraBytes; i++) {
      extras[row * extraBytes + i] = at(payload.extras ?? [], fromRow * extraBytes + i);
    }
    if (scales === undefined || fromScales === undefined) continue;
    for (let word = 0; word < scales.words; word++) {
      xScales[scaleIndex(scales, row, word)] = at(
        payload.xScales ?? [],
        scaleIndex(fromScales, fromRow, word),
      );
    }
  }
  return {
    x,
    ...(scales === undefined ? {} : { xScales }),
    ...(extraBytes === 0 ? {} : { extras }),
  };
}
