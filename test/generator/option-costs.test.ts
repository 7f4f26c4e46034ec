import { describe, expect, it } from 'vitest';
import { type OptionCost, optionCosts } from '../../generator/option-costs.js';
import { planFromSpec } from '../../generator/plan.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';
import { windowRegions } from '../../generator/window.js';

/** 128 rows arrive at most. */
const BASE = { ranks: 2, hidden: 128, topk: 4, ht: { maxTokensPerRank: 64 } };

function costOf(input: SpecInput, field: string): OptionCost | undefined {
  return optionCosts(parseSpec(input, 'test')).find((cost) => cost.field === field);
}

describe('optionCosts', () => {
  it.each<[field: string, input: SpecInput, want: Partial<OptionCost>]>([
    // 3 buffers of 128 rows, with 32 words of scales in each.
    ['dtype', { ...BASE, dtype: 'fp8_e4m3', scaleBlock: 4 }, { windowBytes: 3 * 128 * 32 * 4 }],
    ['extraBytes', { ...BASE, extraBytes: 32 }, { windowBytes: 3 * 128 * 32 }],
    ['ht.combineWeights', { ...BASE, ht: { ...BASE.ht, combineWeights: true } }, { files: [] }],
    [
      'ht.withoutTopk',
      { ...BASE, ht: { ...BASE.ht, withoutTopk: true } },
      { windowBytes: 0, files: ['dispatch_without_topk.cu'] },
    ],
    ['ht.cached', { ...BASE, ht: { ...BASE.ht, cached: true } }, { files: ['dispatch_cached.cu'] }],
    ['ht.biases', { ...BASE, ht: { ...BASE.ht, biases: 1 } }, { value: 1, windowBytes: 0 }],
    [
      'ht.readyCounters',
      { ...BASE, ht: { ...BASE.ht, readyCounters: true } },
      { files: ['ready.cuh'] },
    ],
  ])('knows what %s adds', (field, input, want) => {
    expect(costOf(input, field)).toMatchObject({ isOn: true, ...want });
  });

  it('tells what credit saves: a receive buffer', () => {
    const spec = parseSpec({ ...BASE, ht: { ...BASE.ht, credit: true } }, 'test');
    const regions = windowRegions(planFromSpec(spec));
    const buffer = regions
      .filter(({ name }) => name.startsWith('recv_'))
      .reduce((sum, { stride }) => sum + stride, 0);
    const [cost] = optionCosts(spec).filter(({ field }) => field === 'ht.credit');
    expect(Math.abs((cost?.windowBytes ?? 0) + buffer)).toBeLessThan(4096);
  });

  it('compares live results with one, and one with two', () => {
    const three = costOf({ ...BASE, ht: { ...BASE.ht, liveResults: 3 } }, 'ht.liveResults');
    const one = costOf({ ...BASE, ht: { ...BASE.ht, liveResults: 1 } }, 'ht.liveResults');
    expect(three).toMatchObject({ isOn: true, value: 3, without: 1 });
    expect(one).toMatchObject({ isOn: false, value: 2, without: 1 });
    expect(Math.abs((three?.windowBytes ?? 0) - 2 * (one?.windowBytes ?? 0))).toBeLessThan(8192);
  });

  it('puts what the spec asks for first, and leaves out what a rule keeps from it', () => {
    const costs = optionCosts(
      parseSpec({ ...BASE, channels: { memory: { placement: 'slotted' } } }, 'test'),
    );
    const order = costs.map(({ isOn }) => isOn);
    expect(order).toEqual([...order].sort((a, b) => Number(b) - Number(a)));
    expect(costs.filter(({ isOn }) => isOn).map(({ field }) => field)).toEqual([
      'ht.liveResults',
      'channels.memory.placement',
    ]);
    expect(costs.map(({ field }) => field)).not.toContain('ht.expertMajor');
  });

  it('tells what each kind of calls adds, where the other would stay', () => {
    const ll = { maxTokensPerRank: 8 };
    const alone = { ranks: 2, hidden: 128, topk: 4, ht: false, ll } as const;
    const fields = optionCosts(parseSpec(alone, 'test')).map(({ field }) => field);
    expect(fields.every((field) => field === 'ht' || field.startsWith('ll.'))).toBe(true);
    const files = ['dispatch.cu', 'combine.cu', 'dispatch_layout.cu'];
    expect(costOf(alone, 'ht')).toMatchObject({ isOn: false, files });
    expect(costOf({ ...BASE, ll }, 'ht')).toMatchObject({ isOn: true, files });
    expect(costOf({ ...BASE, ll }, 'll')).toMatchObject({ isOn: true });
    expect(costOf(BASE, 'ht')).toBeUndefined();
  });

  it('has no scales to offer rows that could have none', () => {
    expect(costOf(BASE, 'dtype')).toBeUndefined();
    expect(costOf({ ...BASE, dtype: 'u8' }, 'dtype')).toMatchObject({ isOn: false });
  });
});
