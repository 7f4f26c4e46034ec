import type { Column } from './column.js';
import type { Point, Shape } from './drawing.js';
import { LINE_HEIGHT, textWidth } from './text.js';

const SAMPLE = 36;

type Sample = (from: Point, to: Point) => Shape;

const line =
  (style: string): Sample =>
  (from, to) => ({ type: 'line', style, from, to });

const entries: readonly (readonly [Sample, string])[] = [
  [
    (from) => ({
      type: 'dot',
      style: 'dot at-place',
      at: { x: from.x + 18, y: from.y },
      radius: 6,
    }),
    'place of the finding',
  ],
  [line('missing'), 'order that is missing'],
  [line('arrow order'), 'orders: release to acquire, mbarrier, barrier'],
  [line('arrow seen'), 'only seen: orders nothing'],
  [line('arrow store'), 'store: issued to visible'],
  [
    ({ x, y }, to) => ({
      type: 'polygon',
      style: 'band',
      points: [
        { x, y: y + 4 },
        { x: to.x, y: y + 4 },
        { x: to.x, y: y - 4 },
        { x, y: y - 4 },
      ],
    }),
    'bulk copy: source read to complete',
  ],
  [
    ({ x, y }) => ({ type: 'box', style: 'call', x: x + 14, y: y - 7, width: 8, height: 14 }),
    'a call of the rank runs',
  ],
];

/** Samples of the styles that are used and what they mean, as many in a row as fit. */
export function legend(
  column: Column,
  used: ReadonlySet<string>,
  left: number,
  right: number,
): Shape[] {
  const shapes: Shape[] = [];
  let x = left;
  for (const [sample, text] of entries) {
    const shape = sample({ x: 0, y: 0 }, { x: SAMPLE, y: 0 });
    if (!used.has(shape.style)) continue;
    const width = SAMPLE + 8 + textWidth(text) + 24;
    if (x > left && x + width > right) {
      x = left;
      column.y += LINE_HEIGHT + 4;
    }
    const y = column.y + LINE_HEIGHT / 2;
    const { y: rowTop } = column;
    const label = column.label('quiet', text, x + SAMPLE + 8, right);
    column.y = rowTop;
    shapes.push(sample({ x, y }, { x: x + SAMPLE, y }), label);
    x += width;
  }
  column.y += LINE_HEIGHT + 8;
  return shapes;
}
