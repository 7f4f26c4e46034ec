import type { Finding } from './finding.js';
import { type Caption, layOut } from './layout.js';
import { runFromTrace } from './run.js';
import { storyOf } from './story.js';
import { printSvg } from './svg.js';
import type { Trace } from './trace.js';

/** A failing run as a picture (SVG): who did what when, what it led to, and the order that was missing. */
export function spaceTimeDiagram(trace: Trace, finding: Finding): string {
  const run = runFromTrace(trace);
  return printSvg(layOut(storyOf(run, finding), run.calls, captionOf(run.notes, finding)));
}

function captionOf(notes: Readonly<Record<string, unknown>>, finding: Finding): Caption {
  const { detector, seed, policy, message, remedy } = finding;
  const spec = notes.spec === undefined ? '' : ` in ${String(notes.spec)}`;
  const schedule = policy === undefined ? `seed ${seed}` : `seed ${seed}, policy ${policy}`;
  const isRace = detector === 'race' || detector === 'raw';
  return {
    title: `${detector}${spec}: ${schedule}`,
    text: message.split('\n'),
    ...(isRace ? { remedy: remedy || 'synchronisation between them' } : {}),
  };
}
