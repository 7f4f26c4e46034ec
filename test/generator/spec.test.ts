import { describe, expect, it } from 'vitest';
import {
  canonicalSpecJson,
  defineSpec,
  parseSpec,
  type SpecInput,
  specHash,
} from '../../generator/spec.js';
import { specFields } from '../../generator/spec-fields.js';

const small: SpecInput = { ranks: 2, hidden: 64 };

describe('parseSpec', () => {
  it('fills in every default', () => {
    expect(parseSpec({ ranks: 8, hidden: 7168 }, 'test')).toEqual({
      name: 'ep8_h7168_bf16',
      ranks: 8,
      hidden: 7168,
      experts: 256,
      topk: 8,
      dtype: 'bf16',
      scaleBlock: 128,
      scaleDtype: 'f32',
      scaleLayout: 'row',
      extraBytes: 0,
      combineDtype: 'bf16',
      topkIdx: 'i64',
      ranksPerNode: 8,
      ht: {
        maxTokensPerRank: 4096,
        liveResults: 2,
        credit: false,
        withoutTopk: false,
        cached: false,
        worstTokens: false,
        combineWeights: false,
        biases: 0,
        expertMajor: false,
        readyCounters: false,
      },
      ll: false,
      channels: {
        memory: {
          count: 16,
          stages: 'auto',
          pieceBytes: 'auto',
          inFlightBytes: 'auto',
          placement: 'compact',
        },
        ll: 'chip',
        port: false,
      },
      arenaBytes: 'auto',
      maxSpillBytes: 0,
    });
  });

  it('takes its own result for the same spec', () => {
    const spec = parseSpec({ ...small, experts: 6, channels: { memory: { count: 3 } } }, 'test');
    expect(parseSpec(JSON.parse(JSON.stringify(spec)), 'test')).toEqual(spec);
  });

  it.each<[name: string, input: SpecInput]>([
    ['ep2_h64_bf16', small],
    ['ep1_h16_bf16', { ranks: 1, hidden: 16 }],
    ['ep2_h64_bf16_e6', { ...small, experts: 6, topk: 6 }],
    ['ep2_h64_bf16_k4', { ...small, topk: 4 }],
    ['ep2_h64_bf16_e6_k2', { ...small, experts: 6, topk: 2 }],
    ['ep2_h64_bf16_m32', { ...small, ht: { maxTokensPerRank: 32 } }],
    ['ep2_h64_bf16_c3', { ...small, channels: { memory: { count: 3 } } }],
    [
      'ep2_h64_bf16_m32_c3',
      { ...small, ht: { maxTokensPerRank: 32 }, channels: { memory: { count: 3 } } },
    ],
    ['ep2_h64_bf16_ll16', { ...small, ll: { maxTokensPerRank: 16 } }],
    ['ep2_h64_bf16_noht_ll128', { ...small, ht: false, ll: {} }],
    ['mine_2', { ...small, name: 'mine_2' }],
    // What a build accepts is no part of the module's name, though of its hash.
    ['ep2_h64_bf16', { ...small, maxSpillBytes: 16 }],
  ])('derives the name %s', (name, input) => {
    expect(parseSpec(input, 'test').name).toBe(name);
  });

  it('gives specs that differ in a field without a letter different names', () => {
    const inputs: SpecInput[] = [
      small,
      { ...small, ht: { liveResults: 3 } },
      { ...small, ht: { liveResults: 4 } },
      { ...small, channels: { memory: { stages: 4 } } },
      { ...small, channels: { memory: { stages: 4, pieceBytes: 64 } } },
      { ...small, arenaBytes: 2 ** 21 },
    ];
    const names = inputs.map((input) => parseSpec(input, 'test').name);
    expect(new Set(names).size).toBe(inputs.length);
    for (const name of names.slice(1)) expect(name).toMatch(/^ep2_h64_bf16_x[0-9a-f]{6}$/);
  });
});

describe('specHash', () => {
  it('depends on values and not on the order of fields', () => {
    const spec = parseSpec(small, 'test');
    const { name, ...rest } = spec;
    const reordered = { ...rest, name };
    expect(specHash(reordered)).toBe(specHash(spec));
    expect(specHash(spec)).toMatch(/^[0-9a-f]{64}$/);
    for (const other of [{ topk: 4 }, { maxSpillBytes: 16 }])
      expect(specHash(parseSpec({ ...small, ...other }, 'test'))).not.toBe(specHash(spec));
    expect(JSON.parse(canonicalSpecJson(spec))).toEqual(spec);
  });
});

describe('specFields', () => {
  it('describes every field and gives its default', () => {
    expect(specFields.map((field) => field.path)).toEqual(
      expect.arrayContaining([
        'ranks',
        'ht.liveResults',
        'll.inFlight',
        'channels.port.queuePairs',
      ]),
    );
    for (const field of specFields) expect(field.description, field.path).not.toBe('');
    const defaults = Object.fromEntries(specFields.map((field) => [field.path, field.default]));
    expect(defaults).toMatchObject({
      experts: '32 × ranks',
      dtype: "'bf16'",
      'ht.maxTokensPerRank': '4096',
      'channels.memory.stages': "'auto'",
      ll: 'false',
    });
    expect(defaults.ranks).toBeUndefined();
  });
});

describe('defineSpec', () => {
  it('returns what it is given', () => {
    expect(defineSpec(small)).toBe(small);
  });
});
