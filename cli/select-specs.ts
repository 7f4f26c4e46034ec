import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EpgenError, EpgenSpecError } from '../generator/errors.js';
import { loadSpec } from '../generator/load-spec.js';
import { GENERATED_FOLDER, SPEC_FOLDER } from '../generator/paths.js';
import { PRESETS } from '../generator/presets.js';
import { parseSpec, type Spec } from '../generator/spec.js';
import { type Assignment, assignmentsOf, type SpecFlagValues } from './spec-flags.js';

export interface SelectedSpec {
  readonly spec: Spec;
  /** Where it came from, for messages: a path or the flags. */
  readonly source: string;
  /** Folder that its generated text belongs in. */
  readonly outDir: string;
}

/**
 * The specs that the command line means: files or names, or flags, or else every spec in specs/.
 * @throws EpgenSpecError for a spec that cannot be found, loaded or accepted.
 */
export async function selectSpecs(
  names: readonly string[],
  values: SpecFlagValues & { readonly out?: string },
): Promise<SelectedSpec[]> {
  const sources = await chooseSources(names, values);
  if (values.out !== undefined && sources.length !== 1) {
    throw argumentError(`Expected one spec with --out but received ${sources.length}`);
  }
  const selected: SelectedSpec[] = [];
  for (const { source, load } of sources) {
    const spec = await load();
    const outDir = resolve(values.out ?? join(GENERATED_FOLDER, spec.name));
    selected.push({ spec, source, outDir });
  }
  refuseSharedFolders(selected);
  return selected;
}

interface Source {
  readonly source: string;
  load(): Promise<Spec>;
}

async function chooseSources(names: readonly string[], values: SpecFlagValues): Promise<Source[]> {
  const assignments = assignmentsOf(values);
  const hasFlags = assignments.length > 0 || values.model !== undefined;
  if (names.length > 0 && hasFlags) {
    const flag = values.model === undefined ? assignments[0]?.flag : '--model';
    throw argumentError(
      `Expected spec files or flags that make a spec but received both: ${names[0]} and ${flag}`,
    );
  }
  if (hasFlags) return [specFromFlags(values.model, assignments)];
  const files =
    names.length > 0 ? await Promise.all(names.map(findSpecFile)) : await allSpecFiles();
  return files.map((file) => ({ source: file, load: () => loadSpec(file) }));
}

function specFromFlags(model: string | undefined, assignments: readonly Assignment[]): Source {
  refuseOverlaps(assignments);
  const source = model === undefined ? 'command line' : `command line, --model ${model}`;
  const load = async () => {
    const input: Record<string, unknown> =
      model === undefined ? {} : structuredClone(presetSpec(model));
    for (const assignment of assignments) assign(input, assignment);
    return parseSpec(input, source);
  };
  return { source, load };
}

function presetSpec(model: string): Record<string, unknown> {
  const preset = Object.hasOwn(PRESETS, model) ? PRESETS[model as keyof typeof PRESETS] : undefined;
  if (preset) return preset.spec as Record<string, unknown>;
  throw argumentError(
    `Expected --model to be one of ${Object.keys(PRESETS).join(', ')} but received ${model}`,
  );
}

/** A section as a whole and a field in it: one would undo the other, whichever comes first. */
function refuseOverlaps(assignments: readonly Assignment[]): void {
  for (const section of assignments) {
    const field = assignments.find(({ path }) => path.startsWith(`${section.path}.`));
    if (!field) continue;
    throw argumentError(
      `Expected ${section.typed} or ${field.typed} but received both: ${field.path} is a field of ${section.path}`,
    );
  }
}

function assign(input: Record<string, unknown>, { flag, path, value }: Assignment): void {
  const keys = path.split('.');
  const last = keys.pop();
  if (!last || value === undefined || [...keys, last].some((key) => !/^[a-z]\w*$/i.test(key))) {
    throw argumentError(`Expected ${flag} to be path=value, such as topk=4, but received ${path}`);
  }
  let owner = input;
  for (const key of keys) {
    const next = Object.hasOwn(owner, key) ? owner[key] : undefined;
    const child =
      typeof next === 'object' && next !== null ? (next as Record<string, unknown>) : {};
    owner[key] = child;
    owner = child;
  }
  owner[last] = value;
}

/** A path as it is; else a name in specs/, else a generated folder that was made from flags. */
async function findSpecFile(name: string): Promise<string> {
  if (/[/\\]|\.[cm]?[jt]s$|\.json$/.test(name)) return name;
  const tried = [join(SPEC_FOLDER, `${name}.spec.ts`), join(GENERATED_FOLDER, name, 'spec.json')];
  const found = tried.find((path) => existsSync(path));
  if (found) return found;
  const known = await allSpecNames();
  throw new EpgenSpecError(
    `Expected a spec named ${name} but found neither ${tried.join(' nor ')}` +
      (known.length > 0 ? `; ${SPEC_FOLDER}/ has ${known.join(', ')}` : ''),
  );
}

async function allSpecFiles(): Promise<string[]> {
  const names = await allSpecNames();
  if (names.length > 0) return names.map((name) => join(SPEC_FOLDER, `${name}.spec.ts`));
  throw new EpgenSpecError(
    `Expected a spec file, --ranks and --hidden, or --model, but ${resolve(SPEC_FOLDER)} holds no *.spec.ts`,
    { hint: 'epgen build --ranks 8 --hidden 7168' },
  );
}

async function allSpecNames(): Promise<string[]> {
  if (!existsSync(SPEC_FOLDER)) return [];
  const files = await readdir(SPEC_FOLDER);
  return files
    .filter((file) => file.endsWith('.spec.ts'))
    .map((file) => file.slice(0, -'.spec.ts'.length))
    .sort();
}

function refuseSharedFolders(selected: readonly SelectedSpec[]): void {
  const owners = new Map<string, string>();
  for (const { outDir, source } of selected) {
    const owner = owners.get(outDir);
    if (owner) throw argumentError(`${owner} and ${source} would both write ${outDir}`);
    owners.set(outDir, source);
  }
}

function argumentError(message: string): EpgenError {
  return new EpgenError(message, { code: 'EPGEN_ARGUMENT' });
}
