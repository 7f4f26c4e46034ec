import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildCommand } from '../../generator/build-command.js';
import { humanBytes } from '../../generator/human-bytes.js';
import { layoutFromPlan } from '../../generator/layout.js';
import { planFromSpec } from '../../generator/plan.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';
import { tsLiteral } from '../../generator/ts-literal.js';
import { printedSource, printWithTsMorph } from '../../generator/ts-printer.js';
import { wrapperStructure } from '../../generator/wrapper.js';

let cache = '';

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'epgen-wrapper-'));
  vi.stubEnv('EPGEN_CACHE_DIR', cache);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

function structureOf(input: SpecInput) {
  const spec = parseSpec(input, 'test');
  const plan = planFromSpec(spec);
  return wrapperStructure({ spec, plan, layout: layoutFromPlan(plan) });
}

describe('printedSource', () => {
  const structure = structureOf({ ranks: 2, hidden: 80 });

  it('keeps what ts-morph printed, and prints again where the copy is damaged', async () => {
    const fresh = printWithTsMorph(structure);
    expect(printedSource(structure)).toBe(fresh);
    const folder = join(cache, 'wrappers');
    const [entry] = await readdir(folder);
    await writeFile(join(folder, entry as string), '{"hash":"0","text":"damaged"}');
    vi.resetModules();
    const again = await import('../../generator/ts-printer.js');
    expect(again.printedSource(structure)).toBe(fresh);
  });

  it('is plain data, so that its hash says all', () => {
    expect(JSON.parse(JSON.stringify(structure))).toEqual(structure);
  });

  it('works where no cache can be written', async () => {
    await writeFile(join(cache, 'file'), '');
    vi.stubEnv('EPGEN_CACHE_DIR', join(cache, 'file'));
    const other = structureOf({ ranks: 2, hidden: 96 });
    expect(printedSource(other)).toBe(printWithTsMorph(other));
  });
});

describe('sizes', () => {
  const sizesIn = (input: SpecInput) =>
    printedSource(structureOf(input)).match(/export const sizes = \{[\s\S]*?\n\} as const/)?.[0];

  it('have a region with its bytes for everything that a spec asks for', () => {
    const text = sizesIn({
      ranks: 2,
      hidden: 128,
      topk: 4,
      dtype: 'fp8_e4m3',
      extraBytes: 8,
      ht: { maxTokensPerRank: 64, credit: true, combineWeights: true },
    });
    for (const [doc, region] of [
      ['1.00 KiB: 2 buffers of 512 B', 'recvXScales: { offset: \\d+, bytes: 512,'],
      ['2.00 KiB: 2 buffers of 1.00 KiB', 'recvExtras: { offset: \\d+, bytes: 1024,'],
      ['4.00 KiB: 2 buffers of 2.00 KiB', 'outputWeights: { offset: \\d+, bytes: 2048,'],
    ]) {
      expect(text).toMatch(new RegExp(`/\\*\\* ${doc}\\. \\*/\\n *${region}`));
    }
  });

  it('have none of what it does without', () => {
    expect(sizesIn({ ranks: 2, hidden: 128 })).not.toMatch(/recvXScales|recvExtras|outputWeights/);
    const alone = sizesIn({ ranks: 2, hidden: 128, ht: false, ll: {} });
    expect(alone).not.toMatch(/\b(?:handleBytes|recv\w+|output\w*):/);
    expect(alone).toMatch(/llHandleBytes: \d+,/);
  });

  const columns = { dtype: 'fp8_e4m3', scaleLayout: 'column' } as const;
  it.each<[what: string, input: Partial<SpecInput>, want: Record<string, number>]>([
    ['rows without scales', {}, {}],
    ['scales in rows', { dtype: 'fp8_e4m3', scaleBlock: 64 }, { numScaleWords: 24 }],
    [
      'packed scales in columns',
      { ...columns, scaleDtype: 'ue8m0', ht: { maxTokensPerRank: 63 } },
      { numScaleWords: 3, scaleColumnWords: 128 },
    ],
    ['one channel for each token', { ll: { maxTokensPerRank: 5 } }, { numLlChannels: 5 }],
    [
      'no more channels than run at once',
      { ll: { maxTokensPerRank: 256 } },
      { numLlChannels: 128 },
    ],
    [
      'channels that the spec counts, and casts to scales in columns',
      { ht: false, ll: { ...columns, maxTokensPerRank: 5 }, channels: { ll: 3 } },
      { numLlChannels: 3, numLlScaleWords: 12, llScaleColumnWords: 12 },
    ],
    [
      'casts to packed scales in rows',
      { ll: { dtype: 'fp8_e4m3', scaleDtype: 'ue8m0', maxTokensPerRank: 5 } },
      { numLlChannels: 5, numLlScaleWords: 3 },
    ],
  ])('count what calls are checked against: %s', (_, input, want) => {
    const text = sizesIn({ ranks: 2, hidden: 1536, ...input }) ?? '';
    const counts = [...text.matchAll(/\/\*\* .*\. \*\/\n {2}(num\w+|\w+ColumnWords): (\d+),/g)];
    expect(Object.fromEntries(counts.map(([, key, value]) => [key, Number(value)]))).toEqual(want);
  });
});

describe('buildCommand', () => {
  it.each<[input: SpecInput, want: string]>([
    [{ ranks: 8, hidden: 7168 }, 'epgen build --ranks 8 --hidden 7168'],
    [{ ranks: 2, hidden: 64, topk: 2 }, 'epgen build --ranks 2 --hidden 64 --topk 2'],
    [
      {
        ranks: 2,
        hidden: 64,
        experts: 6,
        name: 'mine',
        channels: { memory: { count: 3, stages: 4 } },
      },
      'epgen build --ranks 2 --hidden 64 --experts 6 --topk 6 --channels 3 --set channels.memory.stages=4 --name mine',
    ],
    [
      {
        ranks: 2,
        hidden: 64,
        combineDtype: 'f32',
        topkIdx: 'i32',
        extraBytes: 16,
        ht: { cached: true },
        channels: { memory: { placement: 'slotted' } },
      },
      'epgen build --ranks 2 --hidden 64 --extra-bytes 16 --combine-dtype f32 --topk-idx i32 --set ht.cached=true --placement slotted',
    ],
    [
      { ranks: 2, hidden: 64, ht: false, ll: { maxTokensPerRank: 16, credit: true } },
      'epgen build --ranks 2 --hidden 64 --set ht=false --ll-max-tokens 16 --set ll.credit=true',
    ],
    [{ ranks: 2, hidden: 64, ll: {} }, 'epgen build --ranks 2 --hidden 64 --ll-max-tokens 128'],
  ])('%j', (input, want) => {
    expect(buildCommand(parseSpec(input, 'test'))).toBe(want);
  });
});

describe('tsLiteral', () => {
  it.each<[value: unknown, want: string]>([
    [{ a: 1, b: "it's", c: { d: false } }, "{ a: 1, b: 'it\\'s', c: { d: false } }"],
    [{ entries: [{ key: 'a', doc: 'One.', value: 1 }] }, '{\n  /** One. */\n  a: 1,\n}'],
    [{ long: 'x'.repeat(90), b: { c: 1 } }, `{\n  long: '${'x'.repeat(90)}',\n  b: { c: 1 },\n}`],
  ])('%j', (value, want) => {
    expect(tsLiteral(value)).toBe(want);
  });
});

describe('humanBytes', () => {
  it.each([
    [512, '512 B'],
    [3200, '3.13 KiB'],
    [2358648832, '2.20 GiB'],
  ])('%i', (bytes, want) => {
    expect(humanBytes(bytes)).toBe(want);
  });
});
