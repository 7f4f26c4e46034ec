import { AsyncLocalStorage } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';

/** Ends the evaluation of one module with an error. */
type GiveUp = (reason: Error) => void;

const evaluation = new AsyncLocalStorage<GiveUp>();
let numRunning = 0;
let restore: () => void = () => undefined;

/**
 * Imports a module that someone else wrote. While it runs, what it prints goes to stderr, since stdout may be read by
 * a machine, and it can neither end the process nor wait for ever once nothing is left to happen: each is an error.
 * Only the module's own calls are meant; the program around it prints and ends as ever.
 */
export async function importForeign(url: string): Promise<Record<string, unknown>> {
  const { promise: givenUp, reject } = withReject();
  const onIdle = () => reject(new EvaluationError('waits for something that never happens'));
  process.once('beforeExit', onIdle);
  if (numRunning++ === 0) restore = guardProcess();
  try {
    const imported = evaluation.run(reject, () => import(/* @vite-ignore */ url));
    return (await Promise.race([imported, givenUp])) as Record<string, unknown>;
  } finally {
    if (--numRunning === 0) restore();
    process.off('beforeExit', onIdle);
  }
}

/** The module did what it may not; the message goes on from its name. */
export class EvaluationError extends Error {}

function guardProcess(): () => void {
  const { exit } = process;
  const { write } = process.stdout;
  process.exit = (code) => {
    const giveUp = evaluation.getStore();
    if (!giveUp) return exit.call(process, code);
    const error = new EvaluationError(`called process.exit(${code ?? ''})`);
    // Said aloud too, since the module may catch what is thrown.
    giveUp(error);
    throw error;
  };
  process.stdout.write = ((...args: Parameters<typeof write>) =>
    evaluation.getStore()
      ? process.stderr.write(...args)
      : write.apply(process.stdout, args)) as typeof write;
  // `import { exit } from 'node:process'` reads a copy.
  syncBuiltinESMExports();
  return () => {
    process.exit = exit;
    process.stdout.write = write;
    syncBuiltinESMExports();
  };
}

function withReject(): { promise: Promise<never>; reject: GiveUp } {
  let reject: GiveUp = () => undefined;
  const promise = new Promise<never>((_, no) => {
    reject = no;
  });
  // The race may be over when it is rejected.
  promise.catch(() => undefined);
  return { promise, reject };
}
