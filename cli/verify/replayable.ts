import { buildCommand } from '../../generator/build-command.js';
import type { Output } from '../output.js';
import type { SelectedSpec } from '../select-specs.js';
import { findingLines } from './finding-lines.js';
import type { Finding, FindingEvent } from './run-verifier.js';
import { writeTrace } from './write-trace.js';

export interface ReplayableFinding extends Finding {
  /** The command that shows it again. */
  readonly replay: string;
  /** Files. */
  readonly written: readonly string[];
}

export interface Replays {
  readonly selected: SelectedSpec;
  /** What the command has besides the spec. */
  readonly flags: (finding: Finding) => string;
  /** Runs what has the finding once more, with a trace. */
  readonly trace: (finding: Finding, file: string) => Promise<unknown>;
  /** Folder for diagrams and traces; none are written without. */
  readonly out: string | undefined;
}

/** A diagram takes another run, and more of them tell little more. */
const MAX_DIAGRAMS = 3;

/** Draws what was found, one diagram of a seed, and says how it is shown again. */
export async function makeReplayable(
  findings: readonly FindingEvent[],
  { selected, flags, trace, out }: Replays,
): Promise<readonly ReplayableFinding[]> {
  const replayable: ReplayableFinding[] = [];
  const drawn = new Set<number>();
  for (const { type: _type, key: _key, ...finding } of findings) {
    const { seed } = finding;
    let written: readonly string[] = [];
    if (out !== undefined && !drawn.has(seed) && drawn.size < MAX_DIAGRAMS) {
      drawn.add(seed);
      written = await writeTrace(finding, { out, name: selected.spec.name, trace });
    }
    replayable.push({ ...finding, replay: `${head(selected)} ${flags(finding)}`, written });
  }
  return replayable;
}

/** The spec by its file, or by the flags that make it. */
function head({ spec, source }: SelectedSpec): string {
  const isFile = !source.startsWith('command line');
  return isFile
    ? `epgen verify ${source}`
    : buildCommand(spec).replace('epgen build', 'epgen verify');
}

export function printFindings(findings: readonly ReplayableFinding[], output: Output): void {
  for (const { replay, written, ...finding } of findings) {
    for (const line of findingLines(finding, { replay, written })) output.line(line);
    output.line();
  }
}
