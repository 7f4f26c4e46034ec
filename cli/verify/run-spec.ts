import { buildVerifier } from '../../generator/build-verifier.js';
import { generate } from '../../generator/generate.js';
import type { Spec } from '../../generator/spec.js';
import type { Context } from '../main.js';
import { progressBar } from './progress-bar.js';
import type { Tally } from './run-parallel.js';

/** What a command has to do with the world while a verifier runs. */
export type Surroundings = Pick<Context, 'output' | 'onInterrupt'>;

export interface RunContext {
  readonly signal: AbortSignal;
  /** Says how far the run is: often on a terminal, now and then elsewhere. `done` runs from 0 to 1. */
  readonly follow: (text: (tally: Tally) => string, done: (tally: Tally) => number) => OnTally;
}

type OnTally = (tally: Tally) => void;

const LINE_INTERVAL_MS = 5000;

/** Compiles a spec's verifier and gives its path to `run`, which a signal may interrupt. */
export async function runSpec<Ran>(
  spec: Spec,
  { output, onInterrupt }: Surroundings,
  run: (path: string, context: RunContext) => Promise<Ran>,
): Promise<{ readonly path: string; readonly ran: Ran; readonly interrupted: boolean }> {
  const bar = output.live ? progressBar(spec.name) : undefined;
  const say = (text: string, done = 0) => {
    if (bar) bar.update(done, text);
    else output.line(`${spec.name}: ${text}`);
  };
  const stop = new AbortController();
  try {
    const { path } = await buildVerifier({
      spec,
      files: generate(spec),
      onProgress: ({ text, done, total }) =>
        say(done === undefined ? text : `[${done}/${total}] ${text}`),
    });
    onInterrupt(() => stop.abort());
    let nextMs = performance.now() + LINE_INTERVAL_MS;
    const ran = await run(path, {
      signal: stop.signal,
      follow: (text, done) => (tally) => {
        if (!bar && performance.now() < nextMs) return;
        nextMs = performance.now() + LINE_INTERVAL_MS;
        say(text(tally), done(tally));
      },
    });
    return { path, ran, interrupted: stop.signal.aborted };
  } finally {
    onInterrupt(undefined);
    bar?.clear();
  }
}
