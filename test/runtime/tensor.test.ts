import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EpgenArgumentError, type EpgenError } from 'epgen/runtime';
import { describe, expect, it } from 'vitest';
import { bf16FromFloat32, float32FromBf16 } from '../../native/bf16.js';
import type { DType } from '../../native/dtype.js';
import { float32FromF16 } from '../../native/f16.js';
import { float32FromFp8 } from '../../native/fp8.js';
import { openFake, rankAt } from './fake-addon.js';

describe('bf16', () => {
  it.each([
    ['one', 0x3f800000, 0x3f80],
    ['a tie goes down to even', 0x3f808000, 0x3f80],
    ['a tie goes up to even', 0x3f818000, 0x3f82],
    ['above a tie', 0x3f808001, 0x3f81],
    ['the largest f32 overflows', 0x7f7fffff, 0x7f80],
    ['minus infinity', 0xff800000, 0xff80],
    ['a negative tie', 0xbf818000, 0xbf82],
    ['minus zero', 0x80000000, 0x8000],
    ['a subnormal', 0x00018000, 0x0002],
    ['a NaN', 0x7fc00000, 0x7fff],
    ['a NaN with a small payload', 0x7f800001, 0x7fff],
    ['a negative NaN', 0xffc12345, 0x7fff],
  ])('rounds %s', (_name, word, want) => {
    const values = new Float32Array(Uint32Array.of(word).buffer);
    expect([...bf16FromFloat32(values)]).toEqual([want]);
  });

  it('gives every bit pattern back', () => {
    const all = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);
    const words = new Uint32Array(float32FromBf16(all).buffer);
    expect(words.every((word, i) => word === (i << 16) >>> 0)).toBe(true);
  });
});

describe('Tensor', () => {
  const { group, raw } = openFake();
  const rank = rankAt(group, 0);

  const floats: Partial<Record<DType, (bits: never) => Float32Array>> = {
    bf16: float32FromBf16,
    f16: float32FromF16,
    fp8_e4m3: float32FromFp8,
  };

  it('has a dtype, a frozen shape of its own and an address', () => {
    const shape = [2, 3];
    const tensor = rank.tensor('f32', shape, [1, 2, 3, 4, 5, 6]);
    shape[0] = 9;
    expect(tensor.dtype).toBe('f32');
    expect(tensor.shape).toEqual([2, 3]);
    expect(Object.isFrozen(tensor.shape)).toBe(true);
    expect(tensor.pointer % 256n).toBe(0n);
  });

  it.each([
    ['bf16', [1, -2], Uint16Array.of(0x3f80, 0xc000)],
    ['bf16', Float32Array.of(1, -2), Uint16Array.of(0x3f80, 0xc000)],
    ['bf16', Uint16Array.of(7, 8), Uint16Array.of(7, 8)],
    ['f16', [1, -2], Uint16Array.of(0x3c00, 0xc000)],
    ['f16', Float32Array.of(1, 65520), Uint16Array.of(0x3c00, 0x7c00)],
    ['f16', Uint16Array.of(7, 8), Uint16Array.of(7, 8)],
    ['fp8_e4m3', [1, -500], Uint8Array.of(0x38, 0xfe)],
    ['fp8_e4m3', Float32Array.of(1, Number.NaN), Uint8Array.of(0x38, 0x7f)],
    ['fp8_e4m3', Uint8Array.of(7, 8), Uint8Array.of(7, 8)],
    ['f32', [0.5, 2], Float32Array.of(0.5, 2)],
    ['i32', [-1, 2], Int32Array.of(-1, 2)],
    ['i64', [-1, 2 ** 40], BigInt64Array.of(-1n, 1n << 40n)],
    ['i64', Int32Array.of(-1, 3), BigInt64Array.of(-1n, 3n)],
    ['i64', BigInt64Array.of(-1n, 3n), BigInt64Array.of(-1n, 3n)],
    ['u8', [0, 255], Uint8Array.of(0, 255)],
  ] as const)('%s holds %o', async (dtype, values, want) => {
    expect(await rank.tensor(dtype, [2], values as never).toArray()).toEqual(want);
    const tensor = rank.tensor(dtype, [2]);
    await tensor.copyFrom(values as never);
    expect(await tensor.toArray()).toEqual(want);
    expect(await tensor.toFloat32()).toEqual(
      floats[dtype]?.(want as never) ?? Float32Array.from(want as Float32Array, Number),
    );
  });

  it('transports every NaN of f32 bit for bit', async () => {
    const words = Uint32Array.of(0x7f800001, 0xffc12345, 0x7fffffff, 0xff800001);
    const tensor = rank.tensor('f32', [4], new Float32Array(words.buffer));
    const read = await tensor.toArray();
    expect(new Uint32Array(read.buffer)).toEqual(words);
  });

  it('takes part of a larger buffer', async () => {
    const part = Int32Array.of(1, 2, 3, 4).subarray(1, 3);
    expect(await rank.tensor('i32', [2], part).toArray()).toEqual(Int32Array.of(2, 3));
  });

  it('of no elements takes no memory', async () => {
    const before = raw.blocks.size;
    const tensor = rank.tensor('bf16', [0, 16], []);
    expect(raw.blocks.size).toBe(before);
    expect(tensor.pointer).toBe(0n);
    expect(await tensor.toArray()).toEqual(new Uint16Array(0));
    await tensor.copyFrom([]);
    tensor.dispose();
  });

  it.each([
    [
      'values',
      () => rank.tensor('i32', [2, 2], [1]),
      'Expected values to have 4 elements for the shape [2, 2] but received 1',
    ],
    [
      'values',
      () => rank.tensor('i32', [1], Float32Array.of(1) as never),
      'Expected values of the i32 tensor to be an Int32Array or number[] but received a Float32Array',
    ],
    [
      'values',
      () => rank.tensor('f16', [1], Int32Array.of(1) as never),
      'Expected values of the f16 tensor to be a Float32Array or number[] of values, or a Uint16Array of bits but received an Int32Array',
    ],
    [
      'values',
      () => rank.tensor('fp8_e4m3', [1], Uint16Array.of(1) as never),
      'Expected values of the fp8_e4m3 tensor to be a Float32Array or number[] of values, or a Uint8Array of bits but received a Uint16Array',
    ],
    [
      'values',
      () => rank.tensor('i64', [1], [0.5]),
      'Expected values[0] to be an integer in -9007199254740991..9007199254740991 but received 0.5',
    ],
    [
      'values',
      () => rank.tensor('u8', [2], [1, 256]),
      'Expected values[1] to be an integer in 0..255 but received 256',
    ],
    [
      'dtype',
      () => rank.tensor('f64' as never, [1]),
      "Expected dtype to be one of bf16, f16, fp8_e4m3, f32, i32, i64, u8 but received 'f64'",
    ],
    [
      'shape',
      () => rank.tensor('f32', [2, -1]),
      'Expected shape[1] to be a whole number, 0 or more, but received -1',
    ],
    [
      'shape',
      // biome-ignore lint/suspicious/noSparseArray: what is refused
      () => rank.tensor('f32', [, 64] as never),
      'Expected shape[0] to be a whole number, 0 or more, but received undefined',
    ],
    [
      'shape',
      () => rank.tensor('f32', [2 ** 40, 2 ** 40]),
      'Expected shape to have at most 65536 bytes, all that rank 0 has in one piece, but received [1099511627776, 1099511627776] of f32, 4.835703278458517e+24 bytes',
    ],
    [
      'shape',
      () => rank.tensorFromPointer('u8', new Array(25).fill(2 ** 50), 16n),
      /^Expected shape to have at most .*, Infinity bytes$/,
    ],
    [
      'shape',
      () => rank.tensor('f32', 4 as never),
      'Expected shape to be an array of sizes but received 4',
    ],
    [
      'pointer',
      () => rank.tensorFromPointer('f32', [4], 8n),
      'Expected pointer to be a bigint above 0 and a multiple of 16 but received 8n',
    ],
    [
      'pointer',
      () => rank.tensorFromPointer('f32', [4], 16 as never),
      'Expected pointer to be a bigint above 0 and a multiple of 16 but received 16',
    ],
  ])('refuses wrong %s', (_name, make, message) => {
    expect(make).toThrow(EpgenArgumentError);
    expect(make).toThrow(typeof message === 'string' ? new EpgenArgumentError(message) : message);
  });

  it('keeps the shape that was checked', () => {
    let size = 2;
    const growing = new Proxy([2], {
      get: (target, key) => (key === '0' ? size++ : Reflect.get(target, key)),
    });
    expect(rank.tensor('f32', growing).shape).toEqual([2]);
  });

  it('of no elements may have any other size', async () => {
    const tensor = rank.tensor('f32', [0, ...new Array<number>(25).fill(2 ** 50)]);
    expect(await tensor.toArray()).toHaveLength(0);
  });

  it('is not written once taking the values has ended it', async () => {
    const tensor = rank.tensor('f32', [1]);
    const values = new Proxy([1], {
      get: (target, key) => {
        tensor.dispose();
        return Reflect.get(target, key);
      },
    });
    await expect(tensor.copyFrom(values)).rejects.toThrow('received one that was disposed');
  });

  it('says when the arena is full', () => {
    raw.arenaLeft = 0;
    expect(() => rank.tensor('f32', [4])).toThrow(
      'arena of rank 0 is full\ndispose() tensors and handles that are not needed any more, or raise arenaBytes in the spec.',
    );
    raw.arenaLeft = 1 << 16;
  });

  it('reads and writes memory by address', async () => {
    const tensor = rank.tensor('i32', [4], [1, 2, 3, 4]);
    const alias = rank.tensorFromPointer('i32', [4], tensor.pointer);
    await alias.copyFrom([5, 6, 7, 8]);
    expect(await tensor.toArray()).toEqual(Int32Array.of(5, 6, 7, 8));
    const { pointer } = tensor;
    expect(() => rank.tensorFromPointer('i32', [5], pointer)).toThrow(
      `Expected pointer to have 20 bytes in one tensor or in the window of rank 0 but received ${pointer}n`,
    );
    tensor.dispose();
    expect(() => alias.pointer).toThrow('the memory that it pointed to was freed');
    alias.dispose();
    expect(raw.freed.filter((freed) => freed === pointer)).toHaveLength(1);
    const inWindow = rank.tensorFromPointer('u8', [8192], raw.windowBase(0));
    expect(await inWindow.toArray()).toHaveLength(8192);
  });

  it.each([
    'memory of device 1',
    'host memory',
    'pinned host memory',
    'managed memory',
    'an address that CUDA does not know',
    '8 bytes before the end of an allocation',
  ])('over %s is refused, which says so, before a launch', (found) => {
    const { group, raw } = openFake();
    raw.refusal = () => found;
    expect(() => rankAt(group, 0).tensorFromPointer('i32', [4], 4096n)).toThrow(
      new EpgenArgumentError(
        `Expected pointer to have 16 bytes in one tensor or in the window of rank 0 but received 4096n: ${found}`,
      ),
    );
    expect(raw.launches).toEqual([]);
  });

  it('over memory that was freed stays so when another tensor gets the address', () => {
    const { group, raw } = openFake();
    const owner = rankAt(group, 0).tensor('i32', [4]);
    const { pointer } = owner;
    const alias = rankAt(group, 0).tensorFromPointer('i32', [4], pointer);
    owner.dispose();
    raw.alloc = () => {
      raw.blocks.set(pointer, 16);
      return pointer;
    };
    const next = rankAt(group, 0).tensor('i32', [4]);
    expect(next.pointer).toBe(pointer);
    expect(() => alias.pointer).toThrow('the memory that it pointed to was freed');
    expect(rankAt(group, 0).tensorFromPointer('i32', [4], pointer).pointer).toBe(pointer);
  });

  it('gives its block back once, and is refused from then on', async () => {
    const tensor = rank.tensor('f32', [4]);
    const { pointer } = tensor;
    tensor.dispose();
    tensor.dispose();
    expect(raw.freed.filter((freed) => freed === pointer)).toHaveLength(1);
    const message = 'Expected the tensor to be a live tensor but received one that was disposed';
    expect(() => tensor.pointer).toThrow(new EpgenArgumentError(message));
    await expect(tensor.toArray()).rejects.toThrow(message);
    await expect(tensor.copyFrom([1, 2, 3, 4])).rejects.toThrow(message);
  });

  it('gives its block back when it is forgotten', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { group, raw } = openFake();
    const kept = rankAt(group, 1).tensor('f32', [4]);
    for (let i = 0; i < 10; i += 1) rankAt(group, 1).tensor('f32', [4]);
    for (let i = 0; i < 50 && raw.blocks.size > 1; i += 1) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect([...raw.blocks.keys()]).toEqual([kept.pointer]);
    expect(new Set(raw.freed).size).toBe(10);
  });

  it('throws EPGEN_DISPOSED after its group', async () => {
    const { group, raw } = openFake();
    const tensor = rankAt(group, 0).tensor('f32', [4]);
    await group.dispose();
    await group[Symbol.asyncDispose]();
    expect(raw.numDisposals).toBe(1);
    await expect(tensor.toArray()).rejects.toMatchObject({ code: 'EPGEN_DISPOSED' });
    expect(() => rankAt(group, 0).tensor('f32', [4])).toThrow(
      expect.objectContaining({ code: 'EPGEN_DISPOSED' }) as EpgenError,
    );
    tensor.dispose();
    expect(raw.freed).toEqual([]);
  });
});
