import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PRESETS } from '../../generator/presets.js';
import { parseSpec, type Spec, type SpecInput } from '../../generator/spec.js';

const specs = join(import.meta.dirname, '..', '..', 'specs');

async function committed(name: string): Promise<Spec> {
  const module = (await import(join(specs, `${name}.spec.ts`))) as { default: SpecInput };
  return parseSpec(module.default, name);
}

describe('PRESETS', () => {
  it.each(Object.entries(PRESETS))('%s is a committed spec', async (key, { spec, source }) => {
    const name = key.replaceAll(/[-.]/g, '_');
    expect(await committed(name)).toEqual(parseSpec({ ...spec, name }, key));
    expect(source).toMatch(/^https:\/\/huggingface\.co\/.+\/config\.json$/);
  });
});

describe('specs/', () => {
  it('names each file after its spec', async () => {
    const files = (await readdir(specs)).filter((file) => file.endsWith('.spec.ts'));
    for (const file of files) {
      const name = file.slice(0, -'.spec.ts'.length);
      expect((await committed(name)).name).toBe(name);
    }
  });
});
