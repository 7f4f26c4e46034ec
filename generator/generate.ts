import { type FileSet, fileSet } from './file-set.js';
import { renderedFiles } from './kernels.js';
import { layoutFromPlan } from './layout.js';
import { requireWritable, type WriteReport, writeFileSet } from './output.js';
import { planFromSpec } from './plan.js';
import { renderFile } from './render.js';
import type { Spec } from './spec.js';
import { viewFromLayout } from './view.js';
import { renderWrapper } from './wrapper.js';

/** Every file of a spec's generated folder. A pure function of the spec: no path, time or version enters the text. */
export function generate(spec: Spec): FileSet {
  const plan = planFromSpec(spec);
  const layout = layoutFromPlan(plan);
  const view = viewFromLayout({ spec, plan, layout });
  return fileSet([
    ['spec.json', jsonFile(spec)],
    ['plan.json', jsonFile({ ...plan, regions: layout.regions })],
    ...renderedFiles(plan).map((file) => [file.name, renderFile(file, view)] as const),
    ['index.ts', renderWrapper({ spec, plan, layout })],
  ]);
}

/**
 * Generates a spec into `dir` and touches only files whose bytes change. `source` names the spec in messages.
 * @throws EpgenError EPGEN_IO when the folder holds another spec (unless `force`) or can't be written; what was there stays.
 */
export async function generateTo(
  dir: string,
  spec: Spec,
  source: string,
  options: { readonly force?: boolean } = {},
): Promise<WriteReport> {
  return writeFileSet({ dir, files: generate(spec), specName: spec.name, source, ...options });
}

/**
 * The text of a spec for `dir`, which a build puts there once it has an addon of it.
 * @throws EpgenError EPGEN_IO when the folder holds something else (unless `force`).
 */
export async function generateFor(
  dir: string,
  spec: Spec,
  source: string,
  options: { readonly force?: boolean } = {},
): Promise<FileSet> {
  const files = generate(spec);
  await requireWritable({ dir, files, specName: spec.name, source, ...options });
  return files;
}

function jsonFile(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
