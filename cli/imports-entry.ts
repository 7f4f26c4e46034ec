import { basename, dirname, join, relative, sep } from 'node:path';
import { replaceFile } from '../generator/install-file.js';
import { nearestFolderWith } from '../generator/paths.js';
import { isRecord, kindOf, manifestError, readManifest } from '../generator/project-manifest.js';
import type { Output } from './output.js';

const ENTRY = '#epgen/*';

/**
 * Adds the `#epgen/*` entry to the project's package.json unless it has one, so that
 * `import '#epgen/<name>'` finds the folder `outDir` and its siblings.
 * @throws EpgenError EPGEN_IO for a package.json that is no JSON object, or whose imports are none
 */
export async function ensureImportsEntry(outDir: string, output: Output): Promise<void> {
  const project = nearestFolderWith('package.json', dirname(outDir));
  if (project === undefined) return;
  const path = join(project, 'package.json');
  const { text, value } = await readManifest(path);
  const { imports = {} } = value;
  if (!isRecord(imports)) {
    throw manifestError(
      `Expected "imports" of ${path} to be an object but received ${kindOf(imports)}`,
    );
  }
  if (imports[ENTRY] !== undefined) return;

  const folder = ['.', ...relative(project, dirname(outDir)).split(sep), '*']
    .filter(Boolean)
    .join('/');
  const entry = { types: `${folder}/index.d.ts`, default: `${folder}/index.js` };
  const manifest = { ...value, imports: { ...imports, [ENTRY]: entry } };
  const indent = /^[{[]\r?\n([ \t]+)/.exec(text)?.[1] ?? '  ';
  await replaceFile(path, `${JSON.stringify(manifest, null, indent)}\n`);
  output.record({ event: 'imports', path, entry: ENTRY });
  const shown = relative('', path);
  output.line(
    `${shown}: added "${ENTRY}" to imports, so that #epgen/${basename(outDir)} can be imported`,
  );
}
