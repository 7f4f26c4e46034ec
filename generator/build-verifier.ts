import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import {
  buildTarget,
  buildTreeFor,
  type OnProgress,
  prepareTarget,
  withTreeLock,
} from './build-tree.js';
import { type FileSet, fileSet } from './file-set.js';
import { hashInputs, isSource } from './input-hash.js';
import { installTogether, makeFolder } from './install-file.js';
import { cacheFolder } from './paths.js';
import { type Spec, specHash } from './spec.js';
import { stageSources } from './staging.js';
import { compilerIdentity, findToolchain, requireTools } from './toolchain.js';

export interface VerifierOptions {
  readonly spec: Spec;
  /** The generated text, or a variant of it. */
  readonly files: FileSet;
  /** Headers here, by their paths in native/, take the place of the package's own. */
  readonly overlay?: string;
  readonly onProgress?: OnProgress;
}

const TARGET = { backend: 'verify' } as const;

/**
 * Compiles the program that runs a spec's kernels on the emulator, schedule by schedule. It stays in the cache: equal
 * text is compiled once.
 * @throws EpgenToolError when a tool is missing; EpgenError EPGEN_COMPILE with the compiler's words, or EPGEN_IO.
 */
export async function buildVerifier({
  spec,
  files,
  overlay,
  onProgress = () => undefined,
}: VerifierOptions): Promise<{ readonly path: string }> {
  const toolchain = await findToolchain();
  requireTools(toolchain, 'cpu');
  const compiler = (await compilerIdentity('cpu')) ?? '';
  const texts = fileSet([
    ...[...files].filter(([name]) => isSource(name)),
    ...(await overlayTexts(overlay)),
  ]);
  const name = `${spec.name}_${specHash(spec).slice(0, 8)}`;
  const programs = join(cacheFolder(process.cwd()), 'verify', name);
  const hash = await hashInputs({ target: TARGET, spec, texts, compiler });
  const path = join(programs, hash.slice(0, 16));
  if (existsSync(path)) {
    await utimes(path, new Date(), new Date());
    return { path };
  }
  // Staged sources belong to this folder: who removes it has them forgotten.
  const generatedDir = await makeFolder(programs);
  const tree = buildTreeFor(generatedDir, TARGET, compiler, toolchain);
  await withTreeLock(tree, onProgress, async (lost) => {
    const dir = await stageSources(tree, { generatedDir, target: name, sources: texts });
    await prepareTarget(tree, { name, dir }, toolchain, onProgress);
    const built = await buildTarget(tree, name, toolchain, onProgress, lost);
    await installTogether([{ path, from: built }]);
  });
  await removeOldPrograms(programs, path);
  return { path };
}

/** The overlay's headers as sources, and the header that names them: what is compiled depends on which there are. */
async function overlayTexts(overlay: string | undefined): Promise<readonly [string, string][]> {
  const entries = overlay ? await readdir(overlay, { recursive: true, withFileTypes: true }) : [];
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const texts = await Promise.all(
    paths.map(async (path): Promise<[string, string]> => {
      return [`overlay/${relative(overlay ?? '', path)}`, await readFile(path, 'utf8')];
    }),
  );
  const lines = texts.map(([name, text]) => `// ${name} ${hashOf(text)}\n`);
  return [...texts, ['overlay.hpp', `// Headers that replace native/'s own.\n${lines.join('')}`]];
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

const PROGRAM_LIFETIME_MS = 3_600_000;

/** Variants of a spec come and go; those that nobody has asked for in a while only fill the disk. */
async function removeOldPrograms(folder: string, keep: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const age = Date.now() - (await stat(path)).mtimeMs;
    if (path !== keep && age > PROGRAM_LIFETIME_MS) await rm(path, { force: true });
  }
}
