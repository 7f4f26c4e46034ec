import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkAll, checkFolder, type DriftReport } from '../../generator/check.js';
import { EpgenError, EpgenSpecError } from '../../generator/errors.js';
import { generateTo } from '../../generator/generate.js';
import { MODULE_MANIFEST } from '../../generator/project-manifest.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';

const spec = parseSpec({ ranks: 2, hidden: 64 }, 'test');

let root = '';
let dir = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'epgen-check-'));
  dir = join(root, 'generated', spec.name);
  await generateTo(dir, spec, 'test');
});
afterEach(() => rm(root, { recursive: true }));

const found = (report: DriftReport) =>
  report.problems.map(({ kind, path }) => `${kind} ${path.slice(root.length + 1)}`);

describe('checkFolder', () => {
  it('finds nothing wrong with what was just generated', async () => {
    expect(await checkFolder(dir)).toEqual({ folders: [dir], problems: [] });
  });

  it('passes over what build adds', async () => {
    await mkdir(join(dir, 'addon'));
    for (const file of ['index.js', 'index.d.ts', 'addon/cpu.node']) {
      await writeFile(join(dir, file), 'built');
    }
    expect(found(await checkFolder(dir))).toEqual([]);
  });

  it('lists tampered, missing and stray files in one run', async () => {
    await appendFile(join(dir, 'layout.cuh'), '// mine\n');
    await rm(join(dir, 'combine.cu'));
    await rm(join(dir, 'index.ts'));
    await writeFile(join(dir, 'notes.txt'), 'mine');
    await mkdir(join(dir, 'old', 'deep'), { recursive: true });
    await writeFile(join(dir, 'old', 'deep', 'dispatch.cu'), 'old');
    const report = await checkFolder(dir);
    const folder = `generated/${spec.name}`;
    expect(found(report)).toEqual([
      `changed ${folder}/layout.cuh`,
      `missing ${folder}/combine.cu`,
      `missing ${folder}/index.ts`,
      `stray ${folder}/notes.txt`,
      `stray ${folder}/old/deep/dispatch.cu`,
    ]);
    expect(report.problems[0]?.diff).toContain('\n-// mine\n');
  });

  it('lists an empty folder, and a package.json that says something else', async () => {
    await mkdir(join(dir, 'old', 'deep'), { recursive: true });
    await writeFile(join(dir, 'package.json'), MODULE_MANIFEST);
    expect(found(await checkFolder(dir))).toEqual([`stray generated/${spec.name}/old/deep`]);
    await rm(join(dir, 'old'), { recursive: true });
    await writeFile(join(dir, 'package.json'), '{ "type": "commonjs" }\n');
    expect(found(await checkFolder(dir))).toEqual([`changed generated/${spec.name}/package.json`]);
  });

  it.each([
    ['not JSON', 'unreadable'],
    ['{"ranks": 2}', 'unreadable'],
    [undefined, 'missing'],
  ])('reports a spec.json that is %s', async (text, kind) => {
    if (text === undefined) await rm(join(dir, 'spec.json'));
    else await writeFile(join(dir, 'spec.json'), text);
    expect(found(await checkFolder(dir))).toEqual([`${kind} generated/${spec.name}/spec.json`]);
  });
});

describe('checkAll', () => {
  const inputs: Record<string, SpecInput> = {
    'same.spec.ts': { ranks: 2, hidden: 64 },
    'edited.spec.ts': { name: 'edited', ranks: 2, hidden: 64, topk: 2 },
    'new.spec.ts': { ranks: 2, hidden: 128 },
  };
  const load = async (path: string) => {
    const input = inputs[basename(path)];
    if (!input) throw new EpgenSpecError(`${basename(path)} does not compile`);
    return parseSpec(input, path);
  };

  it('compares every folder and every spec, and lists all problems', async () => {
    const edited = parseSpec({ name: 'edited', ranks: 2, hidden: 64 }, 'test');
    await generateTo(join(root, 'generated', 'edited'), edited, 'test');
    await rm(join(dir, 'dispatch.cu'));
    await writeFile(join(root, 'generated', 'notes.txt'), 'mine');
    await mkdir(join(root, 'specs'));
    for (const file of [...Object.keys(inputs), 'broken.spec.ts', 'README.md']) {
      await writeFile(join(root, 'specs', file), '');
    }
    const report = await checkAll(root, load);
    expect(report.folders.map((folder) => basename(folder))).toEqual(['edited', spec.name]);
    expect(found(report)).toEqual([
      `missing generated/${spec.name}/dispatch.cu`,
      'stray generated/notes.txt',
      'unreadable specs/broken.spec.ts',
      'changed generated/edited/spec.json',
      'missing generated/ep2_h128_bf16',
    ]);
    const diff = report.problems.find((one) => one.path.endsWith('edited/spec.json'))?.diff;
    expect(diff).toContain('-  "topk": 8,\n+  "topk": 2,');
  });

  it('finds a folder that was copied to another name', async () => {
    const copy = join(root, 'generated', 'copy');
    await cp(dir, copy, { recursive: true });
    const report = await checkAll(root, load);
    expect(found(report)).toEqual(['misnamed generated/copy']);
    expect(report.problems[0]?.diff).toBe(
      `Expected the output of copy but it holds that of ${spec.name}`,
    );
    expect(found(await checkFolder(copy))).toEqual([]);
  });

  it('throws what is no fault of a spec', async () => {
    await mkdir(join(root, 'specs'));
    await writeFile(join(root, 'specs', 'same.spec.ts'), '');
    const full = async () => {
      throw new EpgenError('the cache is full', { code: 'EPGEN_IO' });
    };
    await expect(checkAll(root, full)).rejects.toThrow('the cache is full');
  });

  it('finds nothing in an empty project', async () => {
    expect(await checkAll(join(root, 'none'), load)).toEqual({ folders: [], problems: [] });
  });
});

describe('this repository', () => {
  it('has no drift', async () => {
    const load = async (path: string) => {
      const module = (await import(path)) as { default: SpecInput };
      return parseSpec(module.default, path);
    };
    const report = await checkAll(join(import.meta.dirname, '..', '..'), load);
    expect(report.problems).toEqual([]);
    expect(report.folders.length).toBeGreaterThan(0);
  });
});
