import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { BuildFailure, Plugin } from 'esbuild';
import { EpgenSpecError } from './errors.js';
import { EvaluationError, importForeign } from './foreign-module.js';
import { makeFolder, replaceFile } from './install-file.js';
import { cacheFolder, packageRoot } from './paths.js';
import { parseSpec, type Spec } from './spec.js';

/** Part of every cache key: raise it when the compiled form of a spec changes. */
const FORMAT = 1;

/** What one compilation of a spec file read, so that a later load can tell whether it still holds. */
interface SpecIndex {
  readonly inputs: readonly string[];
  readonly key: string;
}

/**
 * Loads a spec file (`*.spec.ts`, `.js`, `.mjs`, or the `spec.json` of a generated folder).
 * @throws EpgenSpecError when the file is missing, does not compile, throws, has no default export, or breaks a rule.
 */
export async function loadSpec(path: string): Promise<Spec> {
  const file = resolve(path);
  const shown = displayPath(file);
  if (!existsSync(file))
    throw new EpgenSpecError(`Expected a spec file at ${shown} but found none`);
  if (file.endsWith('.json')) return parseSpec(await readJson(file, shown), shown);

  const value = await evaluate(await compiledSpec(file, shown), shown);
  return parseSpec(value, shown);
}

async function readJson(file: string, shown: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new EpgenSpecError(`${shown}: ${messageOf(error)}`);
  }
}

/** A spec bundled into one module in the cache. */
interface CompiledSpec {
  readonly output: string;
  /** The files it was made from. */
  readonly inputs: readonly string[];
}

/** Compiles a spec only when one of its inputs has changed. */
async function compiledSpec(file: string, shown: string): Promise<CompiledSpec> {
  const folder = await makeFolder(join(cacheFolder(dirname(file), process.cwd()), 'specs'));
  const indexPath = join(folder, `${sha256(file).slice(0, 16)}.json`);
  const index = await readIndex(indexPath);
  if (index && (await keyOf(index.inputs)) === index.key) {
    const output = outputPath(folder, file, index.key);
    if (existsSync(output)) return { output, inputs: index.inputs };
  }

  const { code, inputs } = await bundleSpec(file, folder, shown);
  const key = await keyOf(inputs);
  if (key === undefined) throw new EpgenSpecError(`${shown} changed while it was being read`);
  const output = outputPath(folder, file, key);
  await replaceFile(output, code);
  await replaceFile(indexPath, `${JSON.stringify({ inputs, key })}\n`);
  return { output, inputs };
}

async function readIndex(path: string): Promise<SpecIndex | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as SpecIndex;
  } catch {
    return undefined;
  }
}

function outputPath(folder: string, file: string, key: string): string {
  return join(folder, `${basename(file).replace(/\.[cm]?[jt]s$/, '')}-${key.slice(0, 16)}.mjs`);
}

/** Hash of everything that decides the compiled spec; undefined when an input is gone. */
async function keyOf(inputs: readonly string[]): Promise<string | undefined> {
  const hash = createHash('sha256').update(`${FORMAT}\n${libraryUrl()}\n`);
  for (const input of inputs) {
    const content = await readFile(input).catch(() => undefined);
    if (content === undefined) return undefined;
    hash.update(`${input}\n${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

async function bundleSpec(
  file: string,
  folder: string,
  shown: string,
): Promise<{ code: string; inputs: string[] }> {
  const { build } = await import('esbuild');
  const workingDir = dirname(file);
  try {
    const result = await build({
      absWorkingDir: workingDir,
      entryPoints: [file],
      // Sources in the map are relative to the output, so it must name the real folder.
      outfile: join(folder, 'spec.mjs'),
      write: false,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      sourcemap: 'inline',
      metafile: true,
      logLevel: 'silent',
      plugins: [runningCopy],
    });
    const code = result.outputFiles[0]?.text ?? '';
    const inputs = Object.keys(result.metafile.inputs).map((input) => resolve(workingDir, input));
    return { code, inputs: inputs.sort() };
  } catch (error) {
    throw new EpgenSpecError(describeFailure(error as BuildFailure, workingDir, shown));
  }
}

function describeFailure(failure: BuildFailure, workingDir: string, shown: string): string {
  if (!Array.isArray(failure.errors) || failure.errors.length === 0) {
    return `${shown}: ${failure.message}`;
  }
  const lines = failure.errors.map(({ location, text }) => {
    if (!location) return `${shown}: ${text}`;
    const place = displayPath(resolve(workingDir, location.file));
    return `${place}:${location.line}:${location.column + 1}: ${text}`;
  });
  return `Cannot compile the spec:\n${lines.join('\n')}`;
}

/** Spec files share the classes of the running epgen, wherever they lie. */
const runningCopy: Plugin = {
  name: 'running-copy',
  setup(build) {
    build.onResolve({ filter: /^epgen$/ }, () => ({ path: libraryUrl(), external: true }));
    build.onResolve({ filter: /^zod$/ }, () => ({
      path: import.meta.resolve('zod'),
      external: true,
    }));
  },
};

/** Address of the library that this code runs in: the bundle's own entry, else the emitted one. */
function libraryUrl(): string {
  const bundled = new URL('./epgen.js', import.meta.url);
  if (existsSync(fileURLToPath(bundled))) return bundled.href;
  return pathToFileURL(join(packageRoot(), 'dist', 'generator', 'index.js')).href;
}

async function evaluate({ output, inputs }: CompiledSpec, shown: string): Promise<unknown> {
  process.setSourceMapsEnabled(true);
  let module: Record<string, unknown>;
  try {
    module = await importForeign(pathToFileURL(output).href);
  } catch (error) {
    const place = throwSite(error, inputs) ?? shown;
    const what = error instanceof EvaluationError ? error.message : `threw ${nameOf(error)}`;
    throw new EpgenSpecError(`${place}: the spec ${what}`);
  }
  if (!('default' in module)) {
    throw new EpgenSpecError(
      `Expected ${shown} to export default defineSpec({ ... }) but it has no default export`,
    );
  }
  return module.default;
}

/** `file:line:column` of the innermost stack frame in one of the spec's own files. */
function throwSite(error: unknown, inputs: readonly string[]): string | undefined {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return undefined;
  for (const [, frame = '', line, column] of error.stack.matchAll(/^ +at (.*):(\d+):(\d+)\)?$/gm)) {
    const path = inputs.find((input) => namesFile(frame, input));
    if (path) return `${displayPath(path)}:${line}:${column}`;
  }
  return undefined;
}

/** Whether a stack frame ends with the file, as a path or an address; either may hold spaces and parentheses. */
function namesFile(frame: string, file: string): boolean {
  return [frame, decoded(frame)].some((text) => {
    if (!text.endsWith(file)) return false;
    const before = text.slice(0, -file.length);
    return /(?:^|[ (])(?:file:\/\/)?$/.test(before);
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A path with a per cent sign of its own.
    return text;
  }
}

function displayPath(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function nameOf(error: unknown): string {
  return error instanceof Error
    ? `${error.name}: ${error.message}`
    : `${inspect(error)} (not an Error)`;
}
