import type { Drawing, Label, Point, Shape } from './drawing.js';
import { FONT_SIZE, LINE_HEIGHT } from './text.js';

const light = {
  paper: '#ffffff',
  ink: '#1f2328',
  quiet: '#59636e',
  rule: '#c3cad2',
  call: '#d5dce4',
  order: '#1a7f37',
  seen: '#9a6700',
  store: '#0969da',
  band: '#0969da',
  wrong: '#cf222e',
};

const dark: typeof light = {
  paper: '#0d1117',
  ink: '#e6edf3',
  quiet: '#9198a1',
  rule: '#3d444d',
  call: '#30363d',
  order: '#3fb950',
  seen: '#d29922',
  store: '#4493f8',
  band: '#4493f8',
  wrong: '#ff6b63',
};

const variables = (colours: typeof light): string =>
  Object.entries(colours)
    .map(([name, value]) => `--${name}:${value}`)
    .join(';');

const style = `
svg{${variables(light)}}
@media (prefers-color-scheme:dark){svg{${variables(dark)}}}
text{font:${FONT_SIZE}px "DejaVu Sans Mono",Menlo,Consolas,monospace;fill:var(--ink);white-space:pre}
.paper,.backing{fill:var(--paper)}
.backing{opacity:.82}
.title text,.head text,.place text,.remedy text{font-weight:bold}
.place text,.remedy text{fill:var(--wrong)}
.quiet text,.time text{fill:var(--quiet)}
line{stroke:var(--rule);stroke-width:1.5}
line.memory{stroke-dasharray:2 4}
line.order{stroke:var(--order);stroke-width:2}
line.seen{stroke:var(--seen);stroke-width:2;stroke-dasharray:1 4;stroke-linecap:round}
line.store{stroke:var(--store);stroke-width:2}
line.missing{stroke:var(--wrong);stroke-width:2;stroke-dasharray:8 5}
.band{fill:var(--band);opacity:.35}
.call{fill:var(--call)}
.at-step{fill:var(--ink)}
.at-memory{fill:var(--paper);stroke:var(--store);stroke-width:2}
.at-place{fill:var(--wrong)}
#tip-order{fill:var(--order)}
#tip-seen{fill:var(--seen)}
#tip-store{fill:var(--store)}
`;

const tips = ['order', 'seen', 'store'].map(
  (name) =>
    `<marker id="tip-${name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" ` +
    `markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z"/></marker>`,
);

const round = (value: number): string => String(Math.round(value * 10) / 10);

/** XML knows no control characters, not even escaped. */
const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must go
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

/** A complete SVG file that follows the reader's light or dark setting. */
export function printSvg({ width, height, title, shapes }: Drawing): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style}</style>`,
    `<defs>${tips.join('')}</defs>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...shapes.map(element),
    '</svg>\n',
  ].join('\n');
}

function element(shape: Shape): string {
  switch (shape.type) {
    case 'line': {
      const { from, to } = shape;
      const tip = /^arrow (\w+)/.exec(shape.style)?.[1];
      const end = tip === undefined ? '' : ` marker-end="url(#tip-${tip})"`;
      const ends = `x1="${round(from.x)}" y1="${round(from.y)}" x2="${round(to.x)}" y2="${round(to.y)}"`;
      return `<line class="${shape.style}" ${ends}${end}/>`;
    }
    case 'polygon':
      return `<polygon class="${shape.style}" points="${shape.points.map(pair).join(' ')}"/>`;
    case 'box':
      return `<rect class="${shape.style}" ${boxOf(shape)}/>`;
    case 'dot': {
      const { at, radius } = shape;
      return `<circle class="${shape.style}" cx="${round(at.x)}" cy="${round(at.y)}" r="${radius}"/>`;
    }
    case 'label':
      return label(shape);
  }
}

const pair = ({ x, y }: Point): string => `${round(x)},${round(y)}`;

const boxOf = ({ x, y, width, height }: Label | (Shape & { type: 'box' })): string =>
  `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;

function label(shape: Label): string {
  const texts = shape.lines.map((line, idx) => {
    const baseline = shape.y + idx * LINE_HEIGHT + LINE_HEIGHT * 0.75;
    return `<text x="${round(shape.x)}" y="${round(baseline)}">${escaped(line)}</text>`;
  });
  return `<g class="${shape.style}"><rect class="backing" ${boxOf(shape)}/>${texts.join('')}</g>`;
}
