import type { Label } from './drawing.js';
import { fitText, LINE_HEIGHT, textWidth } from './text.js';

/** Labels one below the other. */
export class Column {
  y: number;
  constructor(y: number) {
    this.y = y;
  }

  label(style: string, text: string | readonly string[], x: number, width: number): Label {
    const lines = [text].flat().flatMap((line) => fitText(line, width));
    const height = lines.length * LINE_HEIGHT;
    const label: Label = {
      type: 'label',
      style,
      lines,
      x,
      y: this.y,
      width: Math.max(...lines.map(textWidth)),
      height,
    };
    this.y += height + 4;
    return label;
  }
}
