import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { replaceFile } from '../generator/install-file.js';
import { nearestFolderWith } from '../generator/paths.js';
import type { Output } from './output.js';

const ENTRY = '#epgen/*';

interface Manifest {
  imports?: Record<string, unknown>;
}

/**
 * Adds the `#epgen/*` entry to the project's package.json unless it has one, so that
 * `import '#epgen/<name>'` finds the folder `outDir` and its siblings.
 */
export async function ensureImportsEntry(outDir: string, output: Output): Promise<void> {
  const project = nearestFolderWith('package.json', dirname(outDir));
  if (project === undefined) return;
  const path = join(project, 'package.json');
  const text = await readFile(path, 'utf8');
  const manifest = JSON.parse(text) as Manifest;
  if (manifest.imports?.[ENTRY] !== undefined) return;

  const folder = ['.', ...relative(project, dirname(outDir)).split(sep), '*']
    .filter(Boolean)
    .join('/');
  manifest.imports = {
    ...manifest.imports,
    [ENTRY]: { types: `${folder}/index.d.ts`, default: `${folder}/index.js` },
  };
  const indent = /^[{[]\r?\n([ \t]+)/.exec(text)?.[1] ?? '  ';
  await replaceFile(path, `${JSON.stringify(manifest, null, indent)}\n`);
  output.record({ event: 'imports', path, entry: ENTRY });
  const shown = relative('', path);
  output.line(
    `${shown}: added "${ENTRY}" to imports, so that #epgen/${basename(outDir)} can be imported`,
  );
}
