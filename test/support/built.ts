import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildAddon } from '../../generator/compile.js';
import { generateTo } from '../../generator/generate.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';
import type { Group, OpenGroupOptions } from '../../native/index.js';
import type { Sizes, Spec } from '../../native/spec-types.js';

/** A spec that was generated and compiled for a test. */
export interface Built {
  readonly spec: Spec;
  readonly dir: string;
  readonly addonPath: string;
  readonly sizes: Sizes;
  open(options?: OpenGroupOptions): Promise<Group>;
  /** Compiles the generated folder again, after a test has changed it. */
  compile(): Promise<void>;
}

const root = join(import.meta.dirname, '..', '.generated');

/** Generates and compiles `input` for the CPU backend under test/.generated; a second call with the same spec is quick. */
export async function buildSpec(input: SpecInput): Promise<Built> {
  const spec = parseSpec(input, 'test');
  const dir = join(root, spec.name);
  const compile = async () => {
    await buildAddon({ generatedDir: dir, spec, backend: 'cpu' });
  };
  await mkdir(dir, { recursive: true });
  await generateTo(dir, spec, spec.name, { force: true });
  await compile();
  const generated = (await import(join(dir, 'index.ts'))) as {
    spec: Spec;
    sizes: Sizes;
    openGroup: (options?: OpenGroupOptions) => Promise<Group>;
  };
  return {
    spec: generated.spec,
    sizes: generated.sizes,
    dir,
    addonPath: join(dir, 'addon', 'cpu.node'),
    open: generated.openGroup,
    compile,
  };
}
