import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { execa } from 'execa';
import { EpgenToolError } from './errors.js';

/** One thing a build needs (or, when optional, can use), and what was found of it. */
export interface Requirement {
  readonly name: string;
  readonly purpose: string;
  readonly optional: boolean;
  /** Debian and Ubuntu packages that provide it. */
  readonly packages: readonly string[];
  readonly path?: string;
  readonly version?: string;
  /** Why it does not count as found. */
  readonly problem?: string;
}

export interface Toolchain {
  readonly requirements: readonly Requirement[];
  readonly compiler: Requirement;
  readonly cmake: Requirement;
  /** ninja where it exists, else make. */
  readonly generator: Requirement;
  readonly boost: Requirement;
  readonly nvcc: Requirement;
}

const VERSION_PATTERNS = {
  /** g++ -dumpfullversion: `12.2.0`; clang++ -dumpversion: `14.0.6`. */
  compiler: /^(\d+(?:\.\d+)*)/,
  /** `cmake version 3.25.1` */
  cmake: /cmake version (\d+(?:\.\d+)*)/,
  /** `1.11.1`, or `1.13.0.git.kitware...` from pip */
  ninja: /^(\d+(?:\.\d+)*)/,
  /** `GNU Make 4.3` */
  make: /GNU Make (\d+(?:\.\d+)*)/,
  /** `Cuda compilation tools, release 13.0, V13.0.88` */
  nvcc: /release \d+\.\d+, V(\d+(?:\.\d+)*)/,
  /** BOOST_LIB_VERSION in boost/version.hpp: `"1_74"` */
  boost: /epgen_boost "(\d+(?:_\d+)*)"/,
} as const;

/** C++20 with <version>, <bit> and consteval. */
const MIN_COMPILER = '11';
const MIN_CMAKE = '3.22';

/** C++20 in kernels, and driver functions by version. */
const MIN_NVCC = '12.5';

/** Static: an addon must not need Boost where it runs. */
const BOOST_LIBRARY = 'libboost_context.a';

type Probe = Pick<Requirement, 'path' | 'version' | 'problem'>;

/** Looks for every tool of a CPU build, and for nvcc. Never throws for a missing one. */
export async function findToolchain(env: NodeJS.ProcessEnv = process.env): Promise<Toolchain> {
  const [compiler, cmake, ninja, make, nvcc] = await Promise.all([
    probeTool({
      command: env.CXX || 'g++',
      args: ['-dumpfullversion', '-dumpversion'],
      pattern: VERSION_PATTERNS.compiler,
      minimum: MIN_COMPILER,
      env,
    }),
    probeTool({
      command: 'cmake',
      args: ['--version'],
      pattern: VERSION_PATTERNS.cmake,
      minimum: MIN_CMAKE,
      env,
    }),
    probeTool({ command: 'ninja', args: ['--version'], pattern: VERSION_PATTERNS.ninja, env }),
    probeTool({ command: 'make', args: ['--version'], pattern: VERSION_PATTERNS.make, env }),
    probeTool({
      command: 'nvcc',
      args: ['--version'],
      pattern: VERSION_PATTERNS.nvcc,
      minimum: MIN_NVCC,
      env,
    }),
  ]);
  const boost =
    compiler.path && !compiler.problem
      ? await probeBoost(compiler.path, env)
      : { problem: 'cannot be looked for without a C++ compiler' };

  const found = {
    compiler: describe('g++', 'compiles the kernels for the CPU backend', ['g++'], compiler),
    cmake: describe('cmake', 'drives the build', ['cmake'], cmake),
    generator: ninja.path
      ? describe('ninja', 'runs the build', ['ninja-build'], ninja)
      : describe('ninja or make', 'runs the build', ['ninja-build', 'make'], make),
    boost: describe(
      'boost context',
      'gives every emulated thread a stack',
      ['libboost-context-dev'],
      boost,
    ),
    nvcc: {
      ...describe('nvcc', 'compiles the kernels for the CUDA backend', [], nvcc),
      optional: true,
    },
  };
  return { ...found, requirements: Object.values(found) };
}

/** The required tools that are absent or too old. */
export function missingTools(toolchain: Toolchain): readonly Requirement[] {
  return toolchain.requirements.filter((one) => !one.optional && one.problem !== undefined);
}

/** The arguments of apt-get that install `missing`. */
export function aptPackages(missing: readonly Requirement[]): readonly string[] {
  return [...new Set(missing.flatMap((one) => one.packages))];
}

/** The line a person can paste to install `missing`. */
export function aptLine(missing: readonly Requirement[]): string {
  const packages = aptPackages(missing).join(' ');
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages}`;
}

/** @throws EpgenToolError that names every tool that a backend lacks and how to install them all. */
export function requireTools(toolchain: Toolchain, backend: 'cpu' | 'cuda'): void {
  const { compiler, cmake, generator, boost, nvcc } = toolchain;
  const needed = [compiler, cmake, generator, backend === 'cpu' ? boost : nvcc];
  const missing = needed.filter((one) => one.problem !== undefined);
  if (missing.length > 0) throw missingToolError(missing, backend);
}

function missingToolError(
  missing: readonly Requirement[],
  backend: 'cpu' | 'cuda',
): EpgenToolError {
  const lines = missing.map((one) => `  ${one.name} (${one.purpose}): ${one.problem}`);
  const inPackages = missing.filter((one) => one.packages.length > 0);
  const hints = [
    ...(inPackages.length > 0 ? [`epgen doctor --fix, or: ${aptLine(inPackages)}`] : []),
    ...(inPackages.length < missing.length
      ? [`Install the CUDA toolkit, ${MIN_NVCC} or newer, and put its bin folder on PATH.`]
      : []),
  ];
  const name = backend === 'cpu' ? 'CPU' : 'CUDA';
  return new EpgenToolError(`Missing for the ${name} backend:\n${lines.join('\n')}`, {
    hint: hints.join('\n'),
  });
}

/** One line that identifies a backend's compilers: part of the stamp of every build. */
export async function compilerIdentity(
  backend: 'cpu' | 'cuda',
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const host = await versionText(env.CXX || 'g++', env);
  if (backend === 'cpu' || host === undefined) return host?.split('\n', 1)[0];
  const nvcc = VERSION_PATTERNS.nvcc.exec((await versionText('nvcc', env)) ?? '')?.[0];
  return nvcc && `nvcc ${nvcc}; ${host.split('\n', 1)[0]}`;
}

async function versionText(command: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const result = await execa(command, ['--version'], { env, reject: false });
  return result.failed ? undefined : result.stdout;
}

function describe(
  name: string,
  purpose: string,
  packages: readonly string[],
  probe: Probe,
): Requirement {
  return { name, purpose, packages, optional: false, ...probe };
}

interface ToolQuery {
  readonly command: string;
  readonly args: readonly string[];
  readonly pattern: RegExp;
  readonly minimum?: string;
  readonly env: NodeJS.ProcessEnv;
}

async function probeTool({ command, args, pattern, minimum, env }: ToolQuery): Promise<Probe> {
  const path = await findCommand(command, env);
  if (!path) return { problem: `no ${command} on PATH` };
  const result = await execa(path, args, { env, reject: false, timeout: 20_000 });
  if (result.failed)
    return { path, problem: `${path} ${args.join(' ')} failed: ${result.shortMessage}` };
  const version = pattern.exec(result.stdout)?.[1];
  if (!version) return { path, problem: `cannot read a version from ${path} ${args.join(' ')}` };
  if (minimum && compareVersions(version, minimum) < 0) {
    return { path, version, problem: `Expected version ${minimum} or newer but found ${version}` };
  }
  return { path, version };
}

async function probeBoost(compiler: string, env: NodeJS.ProcessEnv): Promise<Probe> {
  const program = [
    '#if __has_include(<boost/context/fiber.hpp>)',
    '#include <boost/version.hpp>',
    'epgen_boost BOOST_LIB_VERSION',
    '#endif',
  ].join('\n');
  const [headers, library] = await Promise.all([
    execa(compiler, ['-E', '-P', '-x', 'c++', '-'], { env, input: program, reject: false }),
    execa(compiler, [`-print-file-name=${BOOST_LIBRARY}`], { env, reject: false }),
  ]);
  const version = VERSION_PATTERNS.boost.exec(headers.stdout)?.[1]?.replaceAll('_', '.');
  if (!version) return { problem: 'no header boost/context/fiber.hpp' };
  const path = library.stdout.trim();
  // The compiler answers with the bare name when it knows no such file.
  if (!isAbsolute(path)) return { version, problem: `headers but no ${BOOST_LIBRARY}` };
  return { path, version };
}

/** Path of a command, searched as a shell would. */
export async function findCommand(
  command: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const candidates = command.includes('/')
    ? [command]
    : (env.PATH ?? '')
        .split(delimiter)
        .filter(Boolean)
        .map((folder) => join(folder, command));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      // Tools run in other folders than this one.
      return resolve(candidate);
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
