import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildAddon } from '../../generator/compile.js';
import { generateTo } from '../../generator/generate.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';
import type { Group, OpenGroupOptions } from '../../native/index.js';
import type { HighThroughputSizes, HighThroughputSpec } from '../../native/spec-types.js';

/** A spec that was generated and compiled for a test; all but a few have high-throughput calls. */
export interface Built {
  readonly spec: HighThroughputSpec;
  readonly dir: string;
  readonly addonPath: string;
  readonly sizes: HighThroughputSizes;
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
    spec: HighThroughputSpec;
    sizes: HighThroughputSizes;
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
