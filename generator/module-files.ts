import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readText, sha256, type WrapperRecord } from './build-record.js';
import type { OnProgress } from './build-tree.js';
import { emitWrapper } from './emit-wrapper.js';
import type { FileSet } from './file-set.js';
import type { NewFile } from './install-file.js';
import { nearestFolderWith } from './paths.js';
import { MODULE_MANIFEST, readManifest } from './project-manifest.js';

/** A generated folder as Node sees it: its wrapper, compiled, and what says that it is an ES module. */
export interface ModuleInput {
  readonly generatedDir: string;
  readonly texts: FileSet;
}

export interface MadeWrapper {
  readonly record: WrapperRecord;
  readonly files: readonly NewFile[];
}

/** Compiles index.ts when it, or what was compiled from it, is not what build.json says. */
export async function makeWrapper(
  input: ModuleInput,
  made: WrapperRecord | undefined,
  onProgress: OnProgress,
): Promise<MadeWrapper> {
  const { generatedDir, texts } = input;
  if (made && (await isWrapperCurrent(input, made))) return { record: made, files: [] };
  onProgress({ step: 'wrapper', text: 'compile index.ts' });
  const source = texts.get('index.ts') ?? '';
  const { js, dts } = await emitWrapper(source, join(generatedDir, 'index.ts'));
  return {
    record: { source: sha256(source), js: sha256(js), dts: sha256(dts) },
    files: [
      { path: join(generatedDir, 'index.d.ts'), text: dts },
      { path: join(generatedDir, 'index.js'), text: js },
    ],
  };
}

export async function isWrapperCurrent(
  { generatedDir, texts }: ModuleInput,
  made: WrapperRecord | undefined,
): Promise<boolean> {
  const [js, dts] = await Promise.all(
    ['index.js', 'index.d.ts'].map((name) => readText(join(generatedDir, name))),
  );
  return (
    made?.source === sha256(texts.get('index.ts') ?? '') &&
    made.js === sha256(js ?? '') &&
    made.dts === sha256(dts ?? '')
  );
}

/** What tells Node that index.js is an ES module, where the project around it says otherwise or nothing. */
export async function missingManifest(generatedDir: string): Promise<NewFile | undefined> {
  const path = join(generatedDir, 'package.json');
  if (existsSync(path)) return undefined;
  const project = nearestFolderWith('package.json', dirname(generatedDir));
  const manifest = project ? await readManifest(join(project, 'package.json')) : undefined;
  return manifest?.value.type === 'module' ? undefined : { path, text: MODULE_MANIFEST };
}
