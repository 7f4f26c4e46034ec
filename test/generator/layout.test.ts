import { describe, expect, it } from 'vitest';
import { layoutFromPlan } from '../../generator/layout.js';
import { planFromSpec } from '../../generator/plan.js';
import { recordLayout } from '../../generator/record.js';
import { parseSpec } from '../../generator/spec.js';

describe('recordLayout', () => {
  it('puts each field at its own alignment and rounds the size up to the largest', () => {
    const record = recordLayout({
      name: 'Mixed',
      doc: '',
      fields: [
        { ctype: 'uint8_t', name: 'a', note: '' },
        { ctype: 'uint64_t', name: 'b', note: '' },
        { ctype: 'uint32_t', name: 'c', count: 3, note: '' },
        { ctype: 'uint8_t', name: 'd', note: '', align: 128 },
      ],
    });
    expect(record.fields.map(({ name, offset, bytes }) => [name, offset, bytes])).toEqual([
      ['a', 0, 1],
      ['b', 8, 8],
      ['c', 16, 12],
      ['d', 128, 1],
    ]);
    expect([record.align, record.bytes]).toEqual([128, 256]);
  });
});

describe('layoutFromPlan', () => {
  const layout = layoutFromPlan(planFromSpec(parseSpec({ ranks: 8, hidden: 7168 }, 'test')));

  it('lays out the window', () => {
    const rows = layout.regions.map((one) => [one.name, one.offset, one.bytes, one.numBuffers]);
    expect(rows).toEqual([
      ['control', 0, 3200, 1],
      ['recv_x', 3200, 469762048, 3],
      ['recv_topk_idx', 1409289344, 2097152, 3],
      ['recv_topk_weights', 1415580800, 1048576, 3],
      ['recv_src_idx', 1418726528, 131072, 3],
      ['recv_channel_prefix', 1419119744, 512, 3],
      ['output', 1419121280, 469762048, 2],
    ]);
    expect(layout.windowBytes).toBe(2358648832);
  });

  it('lays out the handle and the count record', () => {
    const offsets = layout.handle!.fields.map(({ name, offset }) => [name, offset]);
    expect(Object.fromEntries(offsets)).toEqual({
      num_recv_tokens: 0,
      num_tokens_per_expert: 128,
      rank_prefix: 256,
      channel_prefix: 512,
      recv_channel_prefix: 1024,
    });
    expect(layout.handle?.headerBytes).toBe(1536);
    expect(layout.recordBytes).toBe(24 + 32 * 4);
  });

  it('has nothing of calls that the spec does without', () => {
    const spec = parseSpec({ ranks: 8, hidden: 7168, ht: false, ll: {} }, 'test');
    const { regions, structs, args, handle, recordBytes } = layoutFromPlan(planFromSpec(spec));
    const names = ['control', 'll_control', 'll_recv_x', 'll_recv_src_idx', 'll_output'];
    expect(regions.map(({ name }) => name)).toEqual(names);
    const others = [...structs, ...args].filter(({ name }) => !name.startsWith('Ll'));
    expect(others.map(({ name }) => name)).toEqual(['Control']);
    expect(structs[0]?.fields.map(({ name }) => name)).toEqual(['abort']);
    expect(handle).toBeUndefined();
    expect(recordBytes).toBe(24);
  });

  it('starts the window with the abort word', () => {
    const control = layout.structs.find((record) => record.name === 'Control');
    expect(control?.fields[0]).toMatchObject({ name: 'abort', offset: 0 });
    expect(layout.regions[0]).toMatchObject({ name: 'control', offset: 0 });
  });
});
