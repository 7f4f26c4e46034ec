import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RawAddon } from './addon-types.js';
import { EpgenToolError } from './errors.js';
import type { ModuleDescription } from './spec-types.js';

type AddonBackend = RawAddon['backend'];

interface Attempt {
  readonly path: string;
  /** Why this place was looked at. */
  readonly origin: string;
}

/** Places where a module's addon may lie, in the order in which they are looked at. */
export function addonAttempts(
  { spec, url }: ModuleDescription,
  backend: AddonBackend,
  addonDir: string | undefined,
): readonly Attempt[] {
  const file = `${backend}.node`;
  const inFolder = (folder: string, origin: string): readonly Attempt[] => [
    { path: resolve(folder, spec.name, file), origin },
    { path: resolve(folder, file), origin },
  ];
  const fromEnvironment = process.env.EPGEN_ADDON_DIR;
  return [
    ...(addonDir === undefined ? [] : inFolder(addonDir, 'option addonDir')),
    ...(fromEnvironment ? inFolder(fromEnvironment, 'EPGEN_ADDON_DIR') : []),
    { path: join(dirname(fileURLToPath(url)), 'addon', file), origin: 'beside the module' },
  ];
}

/** Where the module's addon lies, if anywhere. */
export function findAddon(
  description: ModuleDescription,
  backend: AddonBackend,
  addonDir: string | undefined,
): string | undefined {
  return addonAttempts(description, backend, addonDir).find(({ path }) => existsSync(path))?.path;
}

/** Loads the module's addon and checks that it was built from the same spec. Throws {@link EpgenToolError}. */
export function loadAddon(
  description: ModuleDescription,
  backend: AddonBackend,
  addonDir: string | undefined,
): RawAddon {
  const { spec, specHash } = description;
  const buildCommand = buildCommandOf(description, backend);
  const hint = `Build it: ${buildCommand}`;
  const path = findAddon(description, backend, addonDir);
  if (path === undefined) {
    const attempts = addonAttempts(description, backend, addonDir);
    throw new EpgenToolError(
      [
        `Expected a compiled ${backend} addon of ${spec.name} but found none:`,
        ...attempts.map((attempt) => `  ${attempt.path} (${attempt.origin})`),
      ].join('\n'),
      { hint },
    );
  }
  const addon = requireAddon(path, description, buildCommand);
  if (addon.specHash !== specHash) {
    throw new EpgenToolError(
      `Expected ${path} to be built from spec ${spec.name} (${short(specHash)}) but it was built from ${addon.name ?? 'another spec'} (${short(addon.specHash)})`,
      { hint: `Rebuild it: ${buildCommand}` },
    );
  }
  return addon;
}

function buildCommandOf({ buildCommand }: ModuleDescription, backend: AddonBackend): string {
  return backend === 'cuda' ? `${buildCommand} --backend cuda` : buildCommand;
}

function requireAddon(path: string, { url }: ModuleDescription, buildCommand: string): RawAddon {
  try {
    return createRequire(url)(path) as RawAddon;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EpgenToolError(`Expected to load ${path}, but Node could not: ${reason}`, {
      hint: `Rebuild it on this machine: ${buildCommand}`,
      cause: error,
    });
  }
}

function short(hash: unknown): string {
  return typeof hash === 'string' ? `hash ${hash.slice(0, 16)}` : 'without a hash';
}
