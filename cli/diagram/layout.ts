import { Column } from './column.js';
import type { Drawing, Point, Shape } from './drawing.js';
import { legend } from './legend.js';
import { type Lifeline, lineKey, lineTitle } from './lifeline.js';
import type { Call } from './run.js';
import type { Arrow, Step, Story } from './story.js';
import { LINE_HEIGHT, textWidth } from './text.js';

export interface Caption {
  readonly title: string;
  /** Paragraphs below the title. */
  readonly text: readonly string[];
  /** What would have ordered the first and the last place, where that is what went wrong. */
  readonly remedy?: string;
}

const WIDTH = 1200;
const MARGIN = 16;
const TIMES = 88; // width of the column of times
const PADDING = 14; // between a line and its labels
const BAR = 8;

/** Steps get their rows in the order of time; labels of one line never meet since each begins below the one before. */
export function layOut(story: Story, calls: readonly Call[], caption: Caption): Drawing {
  const head = new Column(MARGIN);
  const shapes: Shape[] = [
    head.label('title', caption.title, MARGIN, WIDTH - 2 * MARGIN),
    ...caption.text.map((text) => head.label('text', text, MARGIN, WIDTH - 2 * MARGIN)),
  ];
  head.y += LINE_HEIGHT / 2;
  const columns = new Columns(story.lines, head.y);
  shapes.push(...columns.headers);
  const rows = new Rows(story, columns, caption);
  const bottom = rows.bottom + LINE_HEIGHT;
  const foot = new Column(bottom);
  const folded =
    story.foldedWarps > 0 ? `Other warps that are not drawn: ${story.foldedWarps}. ` : '';
  const axis = 'Time runs downwards, not to scale: 1 ns is one step of the emulator.';
  shapes.push(
    ...story.lines.flatMap((line) => lifeline(line, columns, rows, calls)),
    ...story.arrows.flatMap((arrow) => arrowShapes(arrow, rows)),
    ...rows.shapes,
  );
  const used = new Set(shapes.map(({ style }) => style));
  shapes.push(
    ...legend(foot, used, MARGIN, WIDTH - MARGIN),
    foot.label('quiet', folded + axis, MARGIN, WIDTH - 2 * MARGIN),
  );
  return { width: WIDTH, height: Math.ceil(foot.y + MARGIN), title: caption.title, shapes };
}

class Columns {
  readonly headers: readonly Shape[];
  readonly top: number;
  readonly width: number;
  readonly #x = new Map<string, number>();

  constructor(lines: readonly Lifeline[], top: number) {
    this.width = (WIDTH - MARGIN - TIMES) / Math.max(1, lines.length);
    const heads = lines.map((line, idx) => {
      const x = TIMES + idx * this.width + PADDING;
      this.#x.set(lineKey(line), x);
      const column = new Column(top);
      return {
        label: column.label('head', lineTitle(line), x - PADDING / 2, this.labelWidth),
        end: column.y,
      };
    });
    this.headers = heads.map(({ label }) => label);
    this.top = Math.max(top, ...heads.map(({ end }) => end));
  }

  get labelWidth(): number {
    return this.width - 2 * PADDING;
  }

  x(line: string): number {
    return this.#x.get(line)!;
  }
}

/** Gives each step its height. */
class Rows {
  readonly shapes: Shape[] = [];
  bottom: number;
  readonly #points = new Map<Step, Point>();
  readonly #times: { time: number; y: number }[] = [];

  constructor({ lines, steps }: Story, columns: Columns, caption: Caption) {
    const free = new Map(lines.map((line) => [lineKey(line), new Column(columns.top + 8)]));
    const places = steps.filter(({ place }) => place !== undefined);
    let y = columns.top + 8;
    let time = steps[0]?.time ?? 0;
    for (const step of steps) {
      const column = free.get(step.line)!;
      if (caption.remedy !== undefined && step === places.at(-1)) {
        y = this.#remedy(caption.remedy, places, step, columns, [...free.values()]);
      }
      const gap = step.time > time ? Math.min(8 + 4 * Math.log2(1 + step.time - time), 40) : 0;
      y = Math.max(y + gap, column.y + LINE_HEIGHT / 2);
      time = step.time;
      const x = columns.x(step.line);
      this.#points.set(step, { x, y });
      this.#times.push({ time, y });
      column.y = y - LINE_HEIGHT / 2;
      const style = step.place === undefined ? 'step' : 'place';
      this.shapes.push(
        { type: 'dot', style: `dot ${dotStyle(step)}`, at: { x, y }, radius: step.place ? 6 : 4 },
        column.label(style, step.text, x + PADDING, columns.labelWidth),
      );
    }
    this.bottom = Math.max(y, ...[...free.values()].map((column) => column.y));
    this.#addTimes();
    this.#addMissing(
      places.map((step) => this.at(step)),
      caption,
    );
  }

  at(step: Step): Point {
    return this.#points.get(step)!;
  }

  /** The height that a time has between the steps. */
  heightOf(time: number): number {
    const idx = this.#times.findIndex((one) => one.time >= time);
    const after = this.#times[idx];
    const before = this.#times[idx - 1];
    if (!after) return this.bottom;
    if (!before || after.time === time) return after.y;
    return before.y + ((after.y - before.y) * (time - before.time)) / (after.time - before.time);
  }

  /** A band across the picture, above the last place, that only the remedy's text is in. */
  #remedy(
    remedy: string,
    places: readonly Step[],
    last: Step,
    columns: Columns,
    all: readonly Column[],
  ): number {
    const y = Math.max(...all.map((column) => column.y)) + 8;
    const band = new Column(y);
    const ends = [places[0]!, last].map(({ line }) => columns.x(line));
    const left = Math.min(...ends) + PADDING;
    const width = Math.max(Math.max(...ends) - left - PADDING, columns.labelWidth);
    this.shapes.push(band.label('remedy', remedy, left, Math.min(width, WIDTH - MARGIN - left)));
    for (const column of all) column.y = band.y + 8;
    return band.y;
  }

  #addTimes(): void {
    let last = -Infinity;
    for (const { time, y } of this.#times) {
      if (y - last < LINE_HEIGHT + 2) continue;
      last = y;
      const text = `${(time / 1000).toFixed(3)} µs`;
      const width = textWidth(text);
      const box = { x: TIMES - width - 8, y: y - LINE_HEIGHT / 2, width, height: LINE_HEIGHT };
      this.shapes.push({ type: 'label', style: 'time', lines: [text], ...box });
    }
  }

  #addMissing(places: readonly Point[], { remedy }: Caption): void {
    if (remedy === undefined || places.length < 2) return;
    const line: Shape = { type: 'line', style: 'missing', from: places[0]!, to: places.at(-1)! };
    this.shapes.unshift(line);
  }
}

function dotStyle({ place, kind }: Step): string {
  if (place !== undefined) return 'at-place';
  return kind === 'visible' ? 'at-memory' : 'at-step';
}

function lifeline(line: Lifeline, columns: Columns, rows: Rows, calls: readonly Call[]): Shape[] {
  const x = columns.x(lineKey(line));
  const shapes: Shape[] = [
    {
      type: 'line',
      style: line.kind,
      from: { x, y: columns.top },
      to: { x, y: rows.bottom },
    },
  ];
  if (line.kind === 'memory') return shapes;
  for (const call of calls.filter(({ rank }) => rank === line.rank)) {
    const y = rows.heightOf(call.start);
    const end = rows.heightOf(call.end);
    if (end > y) {
      shapes.push({ type: 'box', style: 'call', x: x - BAR / 2, y, width: BAR, height: end - y });
    }
  }
  return shapes;
}

function arrowShapes({ kind, from, to, sourceRead }: Arrow, rows: Rows): Shape[] {
  const start = rows.at(from);
  const end = rows.at(to);
  if (kind === 'bulk copy') return copyShapes(start, end, rows.heightOf(sourceRead!));
  const style = kind === 'store' ? 'store' : kind === 'only seen' ? 'seen' : 'order';
  return [{ type: 'line', style: `arrow ${style}`, from: start, to: shortened(start, end) }];
}

/** Beside the line that issued it until the source has been read, and a band from there to where it is complete. */
function copyShapes(start: Point, end: Point, read: number): Shape[] {
  const side = end.x < start.x ? -1 : 1;
  const x = start.x + side * BAR;
  const points = [
    { x: start.x, y: start.y },
    { x, y: start.y },
    { x, y: read - BAR / 2 },
    { x: end.x, y: end.y - BAR / 2 },
    { x: end.x, y: end.y + BAR / 2 },
    { x: start.x, y: read + BAR / 2 },
  ];
  return [{ type: 'polygon', style: 'band', points }];
}

/** Ends beside the dot, not under it. */
function shortened(from: Point, to: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const rest = Math.max(0, length - 6) / length;
  return { x: from.x + (to.x - from.x) * rest, y: from.y + (to.y - from.y) * rest };
}
