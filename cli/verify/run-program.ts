import { execa } from 'execa';
import { EpgenError } from '../../generator/errors.js';
import type { FindingEvent, Progress } from './run-verifier.js';

/** How a verifier program ended. */
export interface Ending<Last> extends Omit<Progress, 'type'> {
  /** Missing where a kernel crashed the program: then that is a finding, and the other numbers count. */
  readonly last: Last | undefined;
  readonly findings: number;
  readonly seconds: number;
}

/**
 * Runs a verifier program, which prints progress, findings and a last line, and tells `onEvent` all of it.
 * @throws EpgenError EPGEN_INTERNAL when it ends without a word of its own.
 */
export async function runProgram<Last extends { readonly type: string }>(
  path: string,
  args: readonly string[],
  {
    onEvent,
    signal,
  }: {
    readonly onEvent: (event: Progress | FindingEvent | Last) => void;
    /** Ends the run after the schedule under way. */
    readonly signal: AbortSignal | undefined;
  },
): Promise<Ending<Last>> {
  signal?.throwIfAborted();
  const start = performance.now();
  const child = execa(path, args, { reject: false, buffer: { stdout: false } });
  const stop = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', stop);
  let last: Last | undefined;
  let progress: Omit<Progress, 'type'> = { schedules: 0, distinct: 0 };
  let findings = 0;
  try {
    for await (const line of child.iterable({ from: 'stdout' })) {
      const event = JSON.parse(line) as Progress | FindingEvent | Last;
      if (isProgress(event)) progress = event;
      else if (event.type === 'finding') findings += 1;
      else last = event as Last;
      onEvent(event);
    }
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  const { shortMessage = '', stderr } = await child;
  if (last || findings > 0) {
    const { schedules, distinct } = progress;
    return { last, schedules, distinct, findings, seconds: (performance.now() - start) / 1000 };
  }
  throw new EpgenError(`Expected the verifier to end with a summary: ${shortMessage}\n${stderr}`, {
    code: 'EPGEN_INTERNAL',
  });
}

const isProgress = (event: { readonly type: string }): event is Progress =>
  event.type === 'progress';
