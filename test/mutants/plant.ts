import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileSet, fileSet } from '../../generator/file-set.js';
import { renderedFiles } from '../../generator/kernels.js';
import { layoutFromPlan } from '../../generator/layout.js';
import { packageRoot } from '../../generator/paths.js';
import { planFromSpec } from '../../generator/plan.js';
import { templatesIn } from '../../generator/render.js';
import type { Spec } from '../../generator/spec.js';
import { viewFromLayout } from '../../generator/view.js';
import type { Edit } from './mutant.js';

/** A spec's text with edits in it, as a verifier is compiled from it. */
export interface Planted {
  readonly files: FileSet;
  /** Changed headers by their paths in native/. */
  readonly overlay: FileSet;
}

/** What marks an edit's lines in its `to`. */
export const MARK = 'PLANTED()';

/** Renders `spec` from templates and with headers that have the edits. Marks carry the index of their edit. */
export function plant(spec: Spec, edits: readonly Edit[]): Planted {
  const texts = applyEdits(edits);
  const folder = mkdtempSync(join(tmpdir(), 'epgen-mutant-'));
  try {
    cpSync(join(packageRoot(), 'templates'), folder, { recursive: true });
    for (const [file, text] of texts) {
      if (file.startsWith('templates/'))
        writeFileSync(join(folder, file.slice('templates/'.length)), text);
    }
    const templates = templatesIn(folder);
    const plan = planFromSpec(spec);
    const view = viewFromLayout({ spec, plan, layout: layoutFromPlan(plan) });
    return {
      files: fileSet(renderedFiles(plan).map((file) => [file.name, templates.render(file, view)])),
      overlay: fileSet(
        [...texts]
          .filter(([file]) => file.startsWith('native/'))
          .map(([file, text]) => [file.slice('native/'.length), text] as const),
      ),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Text of every file that the edits change.
 * @throws when what an edit replaces doesn't stand there exactly once.
 */
export function applyEdits(edits: readonly Edit[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [i, { file, from, to }] of edits.entries()) {
    const text = texts.get(file) ?? readFileSync(join(packageRoot(), file), 'utf8');
    const count = text.split(from).length - 1;
    if (count !== 1) throw new Error(`Expected once in ${file} but found ${count} times:\n${from}`);
    texts.set(
      file,
      text.replace(from, () => to.replaceAll(MARK, `planted_${i}()`)),
    );
  }
  return texts;
}

/** The text as it was planted, without its marks. */
export function withoutMarks({ files, overlay }: Planted): string {
  return [...files, ...overlay]
    .map(([name, text]) => `${name}\n${text.replaceAll(/planted_\d+\(\)[,;] ?/g, '')}`)
    .join('');
}

/**
 * The text with marks that leave a file `reached-<edit>` in `folder` when they are executed first. Lines keep their
 * numbers.
 */
export function withReports({ files, overlay }: Planted, folder: string): Planted {
  let numFiles = 0;
  const report = (texts: FileSet): FileSet =>
    fileSet([...texts].map(([name, text]) => [name, reporting(text, folder, numFiles++)] as const));
  return { files: report(files), overlay: report(overlay) };
}

function reporting(text: string, folder: string, fileIdx: number): string {
  const marks = new Set(text.match(/\bplanted_\d+(?=\(\))/g));
  if (marks.size === 0) return text;
  const bodies = [...marks].map((mark) => {
    const path = join(folder, mark.replace('planted_', 'reached-'));
    return (
      `inline void ${mark}_in_${fileIdx}() { static bool is_known = false; if (is_known) return; is_known = true; ` +
      `close(creat(${JSON.stringify(path)}, 0644)); }`
    );
  });
  const head =
    'extern "C" int creat(const char*, unsigned int); extern "C" int close(int); ' +
    `namespace epgen { ${bodies.join(' ')} }`;
  return `${head} ${text.replaceAll(/\bplanted_\d+(?=\(\))/g, (mark) => `${mark}_in_${fileIdx}`)}`;
}

/** Indices of the edits that have a mark. */
export function markedEdits(edits: readonly Edit[]): number[] {
  return edits.flatMap(({ to }, i) => (to.includes(MARK) ? [i] : []));
}
