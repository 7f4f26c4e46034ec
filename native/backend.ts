import { findAddon } from './addon-loader.js';
import { EpgenUnsupportedError } from './errors.js';
import { type Backend, type CheckedOptions, checkBackend } from './options.js';
import type { ModuleDescription } from './spec-types.js';

/** The backend of a group and why it is that one. */
export interface BackendChoice {
  readonly backend: 'cpu' | 'cuda';
  readonly reason: string;
}

let hasWarned = false;

/** Decides where a group runs; `EPGEN_BACKEND` replaces `auto` only. */
export function chooseBackend(
  description: ModuleDescription,
  { backend, addonDir }: CheckedOptions,
): BackendChoice {
  if (backend !== 'auto') return named(backend, 'option backend');
  const fromEnvironment = process.env.EPGEN_BACKEND;
  if (fromEnvironment) {
    const replaced = checkBackend('EPGEN_BACKEND', fromEnvironment);
    if (replaced !== 'auto') return named(replaced, 'EPGEN_BACKEND');
  }
  const cuda = findAddon(description, 'cuda', addonDir);
  if (cuda === undefined) {
    return { backend: 'cpu', reason: `no cuda addon of ${description.spec.name} was built` };
  }
  const reason = `this version does not run cuda addons, so ${cuda} was passed over`;
  warnOnce(reason);
  return { backend: 'cpu', reason };
}

function named(backend: Exclude<Backend, 'auto'>, origin: string): BackendChoice {
  if (backend === 'cpu') return { backend, reason: `${origin} is 'cpu'` };
  throw new EpgenUnsupportedError(
    `Expected ${origin} to be a backend that this version runs, 'cpu', but received 'cuda'`,
    { hint: 'This version compiles kernels for cuda and runs them on cpu only.' },
  );
}

function warnOnce(reason: string): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(`epgen runs on the cpu backend: ${reason}`);
}
