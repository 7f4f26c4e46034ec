import pc from 'picocolors';
import { wrapText } from '../../generator/wrap-text.js';
import { grouped } from '../table.js';
import type { Finding, FindingPlace } from './run-verifier.js';

const COLUMNS = 80;
const INDENT = '  ';

/** A finding for people, within 80 columns; `replay` is the command that shows it again. */
export function findingLines(
  finding: Finding,
  { replay, written }: { readonly replay: string; readonly written: readonly string[] },
): string[] {
  const { detector, seed, policy, execution, message, places, remedy } = finding;
  const how = execution === undefined ? `policy ${policy}` : `order ${grouped(execution)}`;
  // Most messages have told where already, and a deadlock of all its waits.
  const isTold = ({ file, line }: FindingPlace) =>
    file === '' || message.includes(`${file}:${line}`);
  const shown = detector === 'timeout' || places.every(isTold) ? [] : places;
  return [
    `${pc.red(detector)} with seed ${seed}, ${how}`,
    ...message.split('\n').flatMap((line) => indented(line)),
    ...shown.flatMap((place) => indented(placeText(place), '- ')),
    ...(remedy === '' ? [] : indented(`remedy: ${remedy}`)),
    // To be copied, so in one piece.
    `${INDENT}replay: ${replay}`,
    ...written.map((path) => `${INDENT}wrote ${path}`),
  ];
}

/** `dispatch.cu:17 st of control.word, rank 0 block 1 warp 2 lane 3`. */
function placeText({ file, line, what, object, ...place }: FindingPlace): string {
  const where = file === '' ? '' : `${file}:${line} `;
  const of = object === '' ? '' : ` of ${object}`;
  const { rank, block, warp, lane, agent } = place;
  if (agent === 'stream') return `${where}${what}${of}, rank ${rank}'s stream`;
  return `${where}${what}${of}, rank ${rank} block ${block} warp ${warp} lane ${lane}`;
}

function indented(text: string, mark = ''): string[] {
  const lines = wrapText(text, COLUMNS - INDENT.length - mark.length);
  return lines.map((line, i) => `${INDENT}${i === 0 ? mark : ' '.repeat(mark.length)}${line}`);
}
