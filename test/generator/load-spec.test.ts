import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EpgenSpecError } from '../../generator/errors.js';
import { loadSpec } from '../../generator/load-spec.js';

let dir = '';
let cache = '';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'epgen-load-'));
  cache = join(dir, 'cache');
  vi.stubEnv('EPGEN_CACHE_DIR', cache);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

async function write(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text);
  return path;
}

const SHAPE = `import { defineSpec } from 'epgen';
export default defineSpec({ ranks: 2, hidden: 64 });
`;

describe('loadSpec', () => {
  it('loads TypeScript with imports, enums and awaits, far from any node_modules', async () => {
    await write(
      'shape.ts',
      'export enum Shape { Ranks = 4 }\nexport const hidden: number = 128;\n',
    );
    const path = await write(
      'a.spec.ts',
      `import { defineSpec } from 'epgen';
import { hidden, Shape } from './shape.js';
export default defineSpec({ ranks: Shape.Ranks, hidden: await Promise.resolve(hidden) });
`,
    );
    expect(await loadSpec(path)).toMatchObject({ name: 'ep4_h128_bf16', ranks: 4, hidden: 128 });
  });

  it('compiles once, and again when an imported file has changed', async () => {
    await write('shape.ts', 'export const ranks = 2;\n');
    const path = await write(
      'b.spec.ts',
      `import { ranks } from './shape.js';\nexport default { ranks, hidden: 64 };\n`,
    );
    await loadSpec(path);
    const [compiled = ''] = (await readdir(join(cache, 'specs'))).filter((f) => f.endsWith('.mjs'));
    const { ino } = await stat(join(cache, 'specs', compiled));
    await loadSpec(path);
    expect((await stat(join(cache, 'specs', compiled))).ino).toBe(ino);

    await write('shape.ts', 'export const ranks = 4;\n');
    expect(await loadSpec(path)).toMatchObject({ ranks: 4 });
  });

  it('reads the spec.json of a generated folder', async () => {
    const spec = await loadSpec(await write('c.spec.ts', SHAPE));
    expect(await loadSpec(await write('spec.json', JSON.stringify(spec)))).toEqual(spec);
  });

  it.each([
    ['no such file', undefined, /Expected a spec file at .*x\.spec\.ts but found none/],
    ['a syntax error', 'export default {\n  ranks: 2,,\n};\n', /x\.spec\.ts:2:12: /],
    ['a missing import', "import a from './a.js';\nexport default a;\n", /x\.spec\.ts:1:15: /],
    ['a throw', '\nthrow new RangeError("why");\n', /x\.spec\.ts:2:7: .*RangeError: why/],
    ['no default export', 'export const a = 1;\n', /has no default export/],
    [
      'a type error, once it shows',
      'export default { ranks: "two" as any, hidden: 64 };\n',
      /x\.spec\.ts[\s\S]*ranks[\s\S]*two/,
    ],
    ['an unknown field', 'export default { ranks: 2, hidden: 64, rank: 1 };\n', /\brank\b/],
  ])('explains %s', async (_what, text, message) => {
    const path = text === undefined ? join(dir, 'x.spec.ts') : await write('x.spec.ts', text);
    const error = await loadSpec(path).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EpgenSpecError);
    expect((error as Error).message).toMatch(message);
  });

  it('finds the place of a throw in a folder with spaces and parentheses', async () => {
    const folder = join(dir, 'my specs (old)');
    await mkdir(folder);
    const path = join(folder, 'a.spec.ts');
    await writeFile(path, '\nthrow new RangeError("why");\n');
    const message = await messageOf(loadSpec(path));
    expect(message).toBe(`${path}:2:7: the spec threw RangeError: why`);
  });

  it.each([
    ['Object.create(null)', '[Object: null prototype] {}'],
    ['"text"', "'text'"],
    ['null', 'null'],
  ])('says what was thrown: %s', async (thrown, shown) => {
    const path = await write('x.spec.ts', `throw ${thrown};\n`);
    expect(await messageOf(loadSpec(path))).toContain(`the spec threw ${shown} (not an Error)`);
  });

  it.each([
    ['process.exit(0);', ''],
    ['try { process.exit(1) } catch {}', ''],
    ['await null; exit();', "import { exit } from 'node:process';"],
  ])('survives a spec with %s', async (statement, imports) => {
    const text = `${imports}${statement}\nexport default { ranks: 2, hidden: 64 };\n`;
    const path = await write('x.spec.ts', text);
    const { exit } = process;
    expect(await messageOf(loadSpec(path))).toMatch(
      /x\.spec\.ts:1:\d+: the spec called process\.exit\([01]?\)$/,
    );
    expect(process.exit).toBe(exit);
  });
});

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EpgenSpecError);
  return (error as Error).message;
}
