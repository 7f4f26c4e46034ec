/** A picture as plain shapes, in pixels; `style` is a class of the style sheet in svg.ts. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly shapes: readonly Shape[];
}

export type Shape =
  | { readonly type: 'line'; readonly style: string; readonly from: Point; readonly to: Point }
  | { readonly type: 'polygon'; readonly style: string; readonly points: readonly Point[] }
  | ({ readonly type: 'box'; readonly style: string } & Box)
  | { readonly type: 'dot'; readonly style: string; readonly at: Point; readonly radius: number }
  | Label;

/** Lines of text with a backing, so that what is drawn below does not disturb them. */
export interface Label extends Box {
  readonly type: 'label';
  readonly style: string;
  readonly lines: readonly string[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}
