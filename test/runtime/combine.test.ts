import { EpgenArgumentError, EpgenStaleError, EpgenUnsupportedError } from 'epgen/runtime';
import { describe, expect, it } from 'vitest';
import type { RawCombineCall } from '../../native/addon-types.js';
import {
  description,
  dispatchBoth,
  dispatchCall,
  type FakeRawGroup,
  openFake,
  rankAt,
  rawError,
} from './fake-addon.js';

const { recvX, output } = description.sizes.regions;

function combineCalls(raw: FakeRawGroup): RawCombineCall[] {
  return raw.launches
    .filter(({ op, rank }) => op === 'combine' && rank === 0)
    .map(({ call }) => call as RawCombineCall);
}

async function dispatchAll(group: ReturnType<typeof openFake>['group']) {
  return group.dispatch(group.ranks.map(({ index }) => dispatchCall(group, index)));
}

describe('combine', () => {
  it('reads received rows in place, and seals them', async () => {
    const { group, raw } = openFake();
    const received = await dispatchAll(group);
    const [first] = received;
    await first?.x.copyFrom(new Float32Array(48).fill(2));
    const [combined] = await group.combine(received.map(({ x, handle }) => ({ x, handle })));
    expect(combined?.x.shape).toEqual([2, 16]);
    expect(combined?.x.dtype).toBe('bf16');
    expect(combineCalls(raw)).toMatchObject([
      { numTokens: 2, inputOffset: BigInt(recvX.offset), grid: 2, out: combined?.x.pointer },
    ]);
    await expect(first?.x.copyFrom(new Float32Array(48))).rejects.toThrow(
      new EpgenArgumentError(
        'Expected a tensor that may be written, but it was handed to combine, and peers may still be reading it',
      ),
    );
    expect((await first?.x.toFloat32())?.[0]).toBe(2);
  });

  it('copies any other tensor into the next output buffer', async () => {
    const { group, raw } = openFake();
    const received = await dispatchAll(group);
    const calls = received.map(({ handle }, i) => ({
      x: rankAt(group, i).tensor('bf16', [3, 16], new Float32Array(48).fill(i + 1)),
      handle,
    }));
    for (let i = 0; i < 3; i += 1) await group.combine(calls);
    expect(combineCalls(raw).map(({ inputOffset }) => inputOffset)).toEqual(
      [0, 1, 0].map((buffer) => BigInt(output.offset + buffer * output.stride)),
    );
    const copied = new Uint16Array(
      await raw.read(1, raw.windowBase(1) + BigInt(output.offset), 96),
    );
    expect(copied.every((bits) => bits === 0x4000)).toBe(true);
    // The copy was read, not the tensor: it may be written.
    await calls[0]?.x.copyFrom(new Float32Array(48));
  });

  it('reads what combineInput gave in place; that view is stale afterwards', async () => {
    const { group, raw } = openFake();
    const received = await dispatchAll(group);
    const calls = received.map(({ handle }, i) => ({
      x: rankAt(group, i).combineInput(handle),
      handle,
    }));
    expect(calls[0]?.x.shape).toEqual([3, 16]);
    await calls[0]?.x.copyFrom(new Float32Array(48));
    await group.combine(calls);
    expect(combineCalls(raw)[0]?.inputOffset).toBe(BigInt(output.offset));
    await expect(calls[0]?.x.copyFrom(new Float32Array(48))).rejects.toThrow(
      new EpgenStaleError(
        'Expected the tensor to be live, but a combine was enqueued on rank 0 since: take rank.combineInput(handle) again',
      ),
    );
    const again = received.map(({ handle }, i) => rankAt(group, i).combineInput(handle));
    expect(again[0]?.pointer).toBe(raw.windowBase(0) + BigInt(output.offset + output.stride));
  });

  it('lends its input buffer to one handle at a time', async () => {
    const { group } = openFake();
    const one = await dispatchBoth(group);
    const other = await dispatchBoth(group);
    const rank = rankAt(group, 0);
    const view = rank.combineInput(one.handle);
    expect(rank.combineInput(one.handle).pointer).toBe(view.pointer);
    expect(view.pointer).toBeTypeOf('bigint');
    rank.combineInput(other.handle);
    expect(() => view.pointer).toThrow(
      'rank.combineInput was called for another handle on rank 0 since, and both share one buffer',
    );
  });

  it('enqueued gives its result at once, and takes all rows that can arrive', async () => {
    const { group, raw } = openFake();
    raw.combineDone = () => Promise.reject(rawError('EPGEN_ABORTED', 'gone'));
    const received = group.enqueueDispatch([0, 1].map((i) => dispatchCall(group, i)));
    const [combined] = group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
    expect(combined?.x.shape).toEqual([2, 16]);
  });

  it('gives the result back when the call fails', async () => {
    const { group, raw } = openFake();
    const received = await dispatchAll(group);
    raw.combineDone = async (rank) => {
      if (rank === 1) throw rawError('EPGEN_FAULT', 'rank 1 read out of bounds');
      throw rawError('EPGEN_ABORTED', 'given up', {
        cause: rawError('EPGEN_FAULT', 'rank 1 read out of bounds'),
      });
    };
    const before = raw.blocks.size;
    const pending = group.combine(received.map(({ x, handle }) => ({ x, handle })));
    await expect(pending).rejects.toMatchObject({
      code: 'EPGEN_FAULT',
      message: 'rank 1 read out of bounds\nawait group.recover() makes the group usable again.',
    });
    expect(raw.blocks.size).toBe(before);
  });

  it.each<[string, (made: CombineParts) => unknown, string]>([
    [
      'no handle',
      ({ x }) => ({ x }),
      'Expected handle to be what dispatch gave rank 0 but received undefined',
    ],
    [
      'a wrong handle',
      ({ x }) => ({ x, handle: 'h' }),
      "Expected handle to be what dispatch gave rank 0 but received 'h'",
    ],
    [
      'a handle of another rank',
      ({ x, other }) => ({ x, handle: other.handle }),
      'Expected handle to belong to rank 0 but received one of rank 1',
    ],
    [
      'a tensor of another rank',
      ({ handle, other }) => ({ x: other.x, handle }),
      'Expected x to belong to rank 0 but received one of rank 1',
    ],
    [
      'a disposed handle',
      ({ x, handle }) => {
        handle.dispose();
        handle.dispose();
        return { x, handle };
      },
      'Expected handle to be a live handle but received one that was disposed',
    ],
    [
      'other rows',
      ({ handle, rank }) => ({ x: rank.tensor('bf16', [2, 16]), handle }),
      'Expected x to have 3 rows, the rows that the handle received, but received 2',
    ],
    [
      'a wrong dtype',
      ({ handle, rank }) => ({ x: rank.tensor('f32', [3, 16]), handle }),
      'Expected x to have the dtype bf16 but received f32',
    ],
    [
      'a wrong number of channels',
      ({ x, handle }) => ({ x, handle, numChannels: 0 }),
      'Expected numChannels to be an integer in 1..4 but received 0',
    ],
    [
      'an unknown option',
      ({ x, handle }) => ({ x, handle, copy: true }),
      'Expected the call to have only x, handle, numChannels, asyncFinish, previousEvent, stream but received copy',
    ],
  ])('refuses %s', async (_name, makeCall, message) => {
    const made = await parts();
    const numLaunches = made.raw.launches.length;
    const pending = made.rank.combine(makeCall(made) as never);
    await expect(pending).rejects.toThrow(new EpgenArgumentError(message));
    expect(made.raw.launches).toHaveLength(numLaunches);
  });

  it.each(['bias', 'topkWeights', 'out'])('refuses %s, which later versions have', async (key) => {
    const { rank, x, handle } = await parts();
    const pending = rank.combine({ x, handle, [key]: {} } as never);
    await expect(pending).rejects.toThrow(EpgenUnsupportedError);
    await expect(pending).rejects.toThrow(`Expected the call to be without ${key}`);
  });

  it('refuses received rows that went to a later dispatch', async () => {
    const { rank, group, x, handle } = await parts();
    await dispatchBoth(group);
    await dispatchBoth(group);
    const pending = rank.combine({ x, handle });
    await expect(pending).rejects.toThrow(EpgenStaleError);
    await expect(pending).rejects.toThrow('Expected x to be live');
  });

  type CombineParts = Awaited<ReturnType<typeof parts>>;

  async function parts() {
    const { group, raw } = openFake();
    const [mine, other] = await dispatchAll(group);
    if (mine === undefined || other === undefined) throw new Error('nothing received');
    return { group, raw, rank: rankAt(group, 0), other, x: mine.x, handle: mine.handle };
  }
});

describe('Handle', () => {
  it('reads its fields', async () => {
    const { group, raw } = openFake();
    const { handle } = await dispatchBoth(group);
    const [{ handle: pointer = 0n } = {}] = raw.launches.map(
      ({ call }) => call as { handle: bigint },
    );
    const ints = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);
    await raw.write(0, pointer + 128n, ints(1, 2, 3, 4));
    await raw.write(0, pointer + 192n, ints(11, 12, 13, 14, 15, 16, 17, 18));
    await raw.write(0, pointer + 256n, ints(21, 22, 23, 24, 25, 26, 27, 28));
    await raw.write(0, pointer + 384n, ints(0, -1, -1, 5));
    expect(await handle.rankPrefixMatrix()).toEqual(Int32Array.of(1, 2, 3, 4));
    expect(await handle.channelPrefixMatrix()).toEqual(
      Int32Array.of(11, 12, 13, 14, 15, 16, 17, 18),
    );
    expect(await handle.recvChannelPrefixMatrix()).toEqual(
      Int32Array.of(21, 22, 23, 24, 25, 26, 27, 28),
    );
    expect(await handle.slot()).toEqual(Int32Array.of(0, -1, -1, 5));
    expect(await handle.isTokenInRank()).toEqual(Uint8Array.of(1, 0, 0, 1));
    handle.dispose();
    await expect(handle.slot()).rejects.toThrow(
      'Expected the handle to be a live handle but received one that was disposed',
    );
    expect(raw.freed.filter((freed) => freed === pointer)).toHaveLength(1);
  });
});
