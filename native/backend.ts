import { findAddon, loadAddon } from './addon-loader.js';
import type { RawAddon } from './addon-types.js';
import { type CudaNeeds, cudaFit } from './cuda-fit.js';
import { dimensionsOf } from './dimensions.js';
import { EpgenCudaError } from './errors.js';
import { type Backend, type CheckedOptions, checkBackend } from './options.js';
import type { ModuleDescription } from './spec-types.js';

/** The addon of a group and why it is that one. */
export interface BackendChoice {
  readonly addon: RawAddon;
  readonly reason: string;
}

let hasWarned = false;

/** Decides where a group runs and loads its addon; `EPGEN_BACKEND` replaces `auto` only. */
export function chooseBackend(
  description: ModuleDescription,
  options: CheckedOptions,
): BackendChoice {
  const { backend } = options;
  if (backend !== 'auto') return named(description, options, backend, 'option backend');
  const fromEnvironment = process.env.EPGEN_BACKEND;
  if (fromEnvironment) {
    const replaced = checkBackend('EPGEN_BACKEND', fromEnvironment);
    if (replaced !== 'auto') return named(description, options, replaced, 'EPGEN_BACKEND');
  }
  return automatic(description, options);
}

/** @throws EpgenToolError without an addon, EpgenCudaError on a machine that cannot run it. */
function named(
  description: ModuleDescription,
  options: CheckedOptions,
  backend: Exclude<Backend, 'auto'>,
  origin: string,
): BackendChoice {
  const addon = loadAddon(description, backend, options.addonDir);
  const reason = `${origin} is '${backend}'`;
  if (backend === 'cpu') return { addon, reason };
  const { spec } = description;
  const fit = cudaFit(addon, needsOf(description, options));
  if (fit.fits) return { addon, reason: `${reason}: ${fit.machine}` };
  throw new EpgenCudaError(`Expected to run ${spec.name} on cuda, but ${fit.problem}`, {
    hint: `${fit.hint} backend: 'cpu' runs without devices.`,
  });
}

function automatic(description: ModuleDescription, options: CheckedOptions): BackendChoice {
  const { addonDir } = options;
  const cpu = (reason: string): BackendChoice => ({
    addon: loadAddon(description, 'cpu', addonDir),
    reason,
  });
  const { spec } = description;
  if (findAddon(description, 'cuda', addonDir) === undefined) {
    return cpu(`no cuda addon of ${spec.name} was built`);
  }
  let problem: string;
  try {
    const addon = loadAddon(description, 'cuda', addonDir);
    const fit = cudaFit(addon, needsOf(description, options));
    if (fit.fits) return { addon, reason: fit.machine };
    problem = fit.problem;
  } catch (error) {
    problem = String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? '';
  }
  const choice = cpu(problem);
  warnOnce(problem);
  return choice;
}

function needsOf(description: ModuleDescription, { devices, windows }: CheckedOptions): CudaNeeds {
  const { numChannels, lowLatency } = dimensionsOf(description);
  return {
    devices,
    windows,
    numChannels: Math.max(numChannels, lowLatency?.numChannels ?? 0),
    buildCommand: description.buildCommand,
  };
}

function warnOnce(reason: string): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(`epgen runs on the cpu backend: ${reason}`);
}
