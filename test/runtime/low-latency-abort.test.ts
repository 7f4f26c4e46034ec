import { describe, expect, it } from 'vitest';
import { dispatchCall, openFake, rawError } from './fake-addon.js';
import {
  both,
  type Combined,
  call,
  combine,
  hooked,
  open,
  send,
  sums,
} from './low-latency-fake.js';

describe('a group that gave up', () => {
  const gaveUp = () => {
    const cause = { code: 'EPGEN_FAULT', message: 'a bad address' };
    return rawError('EPGEN_ABORTED', 'gave up', { cause });
  };
  const abort = expect.objectContaining({
    code: 'EPGEN_ABORTED',
    message: expect.stringContaining('The group gave up after an earlier error: a bad address'),
  });

  it('says so of calls that more would be wrong with', async () => {
    const { group, raw } = open();
    const pending = send(group, hooked);
    send(group, hooked);
    const calls = both((r) => call(group, r));
    const graph = await group.capture(() => group.lowLatencyDispatch(calls));
    raw.refusalOfCalls = gaveUp();
    raw.launches.length = 0;
    expect(() => send(group)).toThrow(abort);
    expect(() => combine(group, pending)).toThrow(abort);
    expect(() => group.ranks[0]!.lowLatencyDispatch({} as never)).toThrow(abort);
    expect(() => group.ranks[0]!.lowLatencyCombine({} as never)).toThrow(abort);
    expect(() => group.enqueueDispatch([{}] as never)).toThrow(abort);
    await expect(group.dispatch([{}] as never)).rejects.toThrow(abort);
    await expect(group.ranks[1]!.combine({} as never)).rejects.toThrow(abort);
    await expect(group.capture(() => undefined)).rejects.toThrow(abort);
    expect(() => graph.replay()).toThrow(abort);
    expect(raw.launches).toEqual([]);
    await group.recover();
    send(group);
  });

  it('says so of a rank that is not where the others are', () => {
    const { group, raw } = open();
    group.ranks[0]!.lowLatencyDispatch(call(group, 0));
    raw.refusalOfCalls = gaveUp();
    expect(() => group.enqueueDispatch([{}, {}] as never)).toThrow(abort);
    expect(() => send(group)).toThrow(abort);
  });

  it('counts no combine that reads its input in place, and keeps that input', async () => {
    const { group, raw } = open();
    raw.combineDone = () => Promise.reject(gaveUp());
    const received = send(group);
    const x = group.ranks[0]!.getNextLowLatencyCombineBuffer(received[0]!.handle);
    raw.refusalOfCalls = gaveUp();
    raw.launches.length = 0;
    for (let i = 0; i < 2; i++) expect(() => combine(group, received, { x })).toThrow(abort);
    expect(raw.launches).toEqual([]);
    expect(x.pointer).toBe(raw.windowBase(0) + 6144n);
  });

  it('counts no combine without low latency either', async () => {
    const { group, raw } = openFake();
    const [first, second] = await group.dispatch(both((r) => dispatchCall(group, r)));
    const x = group.ranks[0]!.combineInput(first!.handle);
    raw.refusalOfCalls = gaveUp();
    const calls = [
      { x, handle: first!.handle },
      { x: second!.x, handle: second!.handle },
    ] as const;
    expect(() => group.enqueueCombine(calls)).toThrow(abort);
    expect(x.pointer).toBe(raw.windowBase(0) + 3584n);
  });

  it('says so of a combine that is only sent, of which nothing is left', () => {
    const { group, raw } = open();
    const calls = send(group).map(({ handle }, r) => ({ ...sums(group, r, handle), ...hooked }));
    const blocks = [...raw.blocks.keys()];
    const { llCombine } = raw;
    raw.llCombine = () => {
      throw gaveUp();
    };
    expect(() => group.lowLatencyCombine(calls as never)).toThrow(abort);
    expect([...raw.blocks.keys()]).toEqual(blocks);
    raw.llCombine = llCombine;
    for (const { hook } of group.lowLatencyCombine(calls as never) as never as Combined[]) hook!();
  });

  it('says so of hooks, which then have not been called', async () => {
    const { group, raw } = open();
    raw.combineDone = () => Promise.reject(gaveUp());
    const received = send(group);
    const [combined] = combine(group, received, hooked);
    raw.refusalOfCalls = gaveUp();
    raw.launches.length = 0;
    for (let i = 0; i < 2; i++) expect(combined!.hook!).toThrow(abort);
    expect(raw.launches).toEqual([]);
  });
});
