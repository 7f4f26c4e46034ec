import { describe, expect, it } from 'vitest';
import { EpgenArgumentError } from '../../native/index.js';
import { type FakeRawGroup, openFakeOf } from './fake-addon.js';
import { combine, type Low, low, module, open, send, sums } from './low-latency-fake.js';

// Memory that a combine writes while the call, or peers, read it: only addresses of the caller's can lie so.

describe('a combine whose memory overlaps', () => {
  const llOutput = 6144n;

  /** What the arguments of rank 0 can overlap with. */
  interface Scene {
    readonly rank: Low['ranks'][number];
    readonly given: ReturnType<typeof sums>;
    readonly handle: bigint;
    readonly window: bigint;
  }

  const outAt = ({ rank }: Scene, pointer: bigint) =>
    rank.tensorFromPointer('bf16', [1, 16], pointer);
  const xAt = ({ rank }: Scene, pointer: bigint) =>
    rank.tensorFromPointer('bf16', [2, 8, 16], pointer);

  function refused(group: Low, raw: FakeRawGroup, change: (scene: Scene) => object, text: string) {
    const received = send(group);
    const [given, other] = received.map(({ handle }, r) => sums(group, r, handle));
    const handle = received[0]!.numTokensPerExpert.pointer - 64n;
    const scene = { rank: group.ranks[0]!, given: given!, handle, window: raw.windowBase(0) };
    const changed = { ...given, ...change(scene) };
    raw.launches.length = 0;
    expect(() => group.lowLatencyCombine([changed, other] as never)).toThrow(EpgenArgumentError);
    expect(() => group.lowLatencyCombine([changed, other] as never)).toThrow(text);
    expect(raw.launches).toEqual([]);
    // The call as it was goes.
    group.lowLatencyCombine([given!, other!]);
  }

  it.each<[string, string, (scene: Scene) => object]>([
    [
      'topkWeights',
      'perRank[0].topkWeights, which the call reads',
      (scene) => {
        const { pointer } = scene.rank.tensor('u8', [64]);
        const topkWeights = scene.rank.tensorFromPointer('f32', [1, 2], pointer + 16n);
        return { topkWeights, out: outAt(scene, pointer) };
      },
    ],
    [
      'x that peers read in place',
      'perRank[0].x, which the call reads',
      (scene) => {
        const x = scene.rank.getNextLowLatencyCombineBuffer(scene.given.handle);
        return { x, out: outAt(scene, x.pointer + 64n) };
      },
    ],
    [
      'the handle',
      'perRank[0].handle, which the call reads',
      (scene) => ({ out: outAt(scene, scene.handle) }),
    ],
    [
      'the input of another combine',
      'the input buffers of low-latency combines, which peers read',
      (scene) => ({ out: outAt(scene, scene.window + llOutput + 1536n) }),
    ],
  ])('is refused where its out lies over %s', (_, what, change) => {
    const { group, raw } = open();
    const text = `Expected perRank[0].out to lie apart from ${what}, but they overlap\nGive a tensor of rank.tensor for the sums, or no out.`;
    refused(group, raw, change, text);
  });

  it('is refused where rows would be copied over themselves', () => {
    const { group, raw } = open();
    for (const shift of [-512n + 128n, 128n]) {
      refused(
        group,
        raw,
        (scene) => {
          const { pointer } = scene.rank.getNextLowLatencyCombineBuffer(scene.given.handle);
          return { x: xAt(scene, pointer + shift) };
        },
        'Expected perRank[0].x to lie apart from the input buffer of the combine, to which its rows are copied, but they overlap\nGive what rank.getNextLowLatencyCombineBuffer(handle) gives as it is',
      );
    }
  });

  it.each([
    ['sums its rows at once', {}],
    ['is received by a hook', { returnRecvHook: true }],
  ])('goes where its out lies over an x that is copied before: one that %s', (_, options) => {
    const { group, raw } = open();
    const received = send(group);
    const given = sums(group, 0, received[0]!.handle);
    const out = group.ranks[0]!.tensorFromPointer('bf16', [1, 16], given.x.pointer + 480n);
    raw.launches.length = 0;
    combine(group, received, { ...given, out, ...options })[0]!.hook?.();
    const launches = raw.launches.filter(({ rank }) => rank === 0);
    expect(launches[0]).toMatchObject({ op: 'llStage', call: { x: given.x.pointer } });
    expect(launches.at(-1)).toMatchObject({ op: 'llCombine', call: { out: out.pointer } });
    expect(new Set(launches.map(({ call }) => (call as { stream: number }).stream)).size).toBe(1);
  });

  it('goes where x is that buffer by its address: it is read in place', () => {
    const { group, raw } = open();
    const received = send(group);
    const { pointer } = group.ranks[0]!.getNextLowLatencyCombineBuffer(received[0]!.handle);
    const x = group.ranks[0]!.tensorFromPointer('bf16', [2, 8, 16], pointer);
    raw.launches.length = 0;
    combine(group, received, { x });
    const ops = raw.launches.filter(({ rank }) => rank === 0).map(({ op }) => op);
    expect(ops).toEqual(['llCombine']);
  });

  it('is refused there too where rows are cast', () => {
    const cast = { ...module, spec: { ...low, ll: { ...low.ll, combineDtype: 'fp8_e4m3' } } };
    const { group, raw } = openFakeOf(cast as never as typeof module);
    refused(
      group,
      raw,
      (scene) => ({ x: xAt(scene, scene.window + llOutput) }),
      'to which its rows are copied, but they overlap\nGive a tensor of rank.tensor.',
    );
  });
});
