import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

// What low-latency calls take and give follows from the spec.

const SETUP = `
import { openGroup, spec } from './generated/low/index.js';
import type { LowLatencyCombineCall, LowLatencyCombined, LowLatencyDispatchCall, LowLatencyHandle, LowLatencyReceived } from './generated/low/index.js';
import { openGroup as openCast } from './generated/cast/index.js';
import { openGroup as openPlain } from './generated/plain/index.js';
const group = await openGroup();
const cast = await openCast();
const plain = await openPlain();
const [rank] = group.ranks;
const [other] = cast.ranks;
const [without] = plain.ranks;
if (rank === undefined || other === undefined || without === undefined) throw new Error();
const x = rank.tensor('bf16', [4, spec.hidden]);
const topkIdx = rank.tensor('i64', [4, spec.topk]);
const topkWeights = rank.tensor('f32', [4, spec.topk]);
const received = rank.lowLatencyDispatch({ x, topkIdx });
const { handle } = received;
const y = rank.tensor('bf16', [32, 1024, spec.hidden]);
const cumulativeStats = rank.tensor('i32', [32]);
const waitStats = rank.tensor('i64', [8]);
`;

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  const modules = {
    low: generatedModule(7168, { ll: {} }),
    cast: generatedModule(7168, {
      ll: { dtype: 'fp8_e4m3', scaleDtype: 'ue8m0', stats: true },
      topkIdx: 'i32',
    }),
    plain: generatedModule(7168),
  };
  for (const [name, text] of Object.entries(modules)) {
    expect(project.addModule(name, text)).toEqual([]);
  }
});

describe('a program that compiles', () => {
  it.each([
    [
      'bf16 rows',
      'const hidden: 7168 = received.x.shape[2]; const bits: Promise<Uint16Array> = received.x.toArray(); const counts: Promise<Int32Array> = received.numTokensPerExpert.toArray(); const none: null = received.hook;',
    ],
    [
      'rows that are cast, and their scales',
      "const got = other.lowLatencyDispatch({ x, topkIdx: other.tensor('i32', [4, 8]) }); const bits: Promise<Uint8Array> = got.x.toArray(); const scales: Promise<Int32Array> = got.xScales.toArray();",
    ],
    [
      'statistics',
      "const topk = other.tensor('i32', [4, 8]); const got = other.lowLatencyDispatch({ x, topkIdx: topk, cumulativeStats, waitStats }); other.lowLatencyCombine({ x: y, topkWeights, handle: got.handle, waitStats });",
    ],
    [
      'a hook that is asked for',
      'const { hook } = rank.lowLatencyDispatch({ x, topkIdx, returnRecvHook: true }); hook(); const combined = rank.lowLatencyCombine({ x: y, topkWeights, handle, returnRecvHook: true }); combined.hook();',
    ],
    [
      'a hook that some ranks ask for',
      'const [first] = group.lowLatencyDispatch([{ x, topkIdx, returnRecvHook: true }, { x, topkIdx }]); first?.hook?.();',
    ],
    [
      'a hook that may be asked for',
      'declare const asks: boolean; const { hook } = rank.lowLatencyDispatch({ x, topkIdx, returnRecvHook: asks }); hook?.();',
    ],
    [
      'sums, zero copy, into memory that is given',
      'const view = rank.getNextLowLatencyCombineBuffer(handle); await view.copyFrom(new Float32Array(1)); const combined = rank.lowLatencyCombine({ x: view, topkWeights, handle, out: x }); const hidden: 7168 = combined.x.shape[1]; rank.lowLatencyCombine({ x: y, topkWeights, handle, out: null });',
    ],
    [
      'all ranks',
      'const all = group.lowLatencyDispatch(group.ranks.map(() => ({ x, topkIdx }))); const sums = group.lowLatencyCombine(all.map(({ handle }) => ({ x: y, topkWeights, handle }))); const bits: Promise<Uint16Array> | undefined = sums[0]?.x.toArray(); const none: null | undefined = sums[0]?.hook;',
    ],
    [
      'hooks of all ranks',
      'const all = group.lowLatencyDispatch(group.ranks.map(() => ({ x, topkIdx, returnRecvHook: true }))); for (const { hook } of all) hook?.(); const [one] = group.lowLatencyCombine([{ x: y, topkWeights, handle, returnRecvHook: true }]); one?.hook();',
    ],
    [
      'calls made elsewhere',
      'function call(): LowLatencyDispatchCall { return { x, topkIdx, returnRecvHook: true, window: 1 }; } const got: LowLatencyReceived = rank.lowLatencyDispatch(call()); const sum: LowLatencyCombineCall = { x: y, topkWeights, handle: got.handle }; const sums: LowLatencyCombined[] = group.lowLatencyCombine([sum]); got.hook?.();',
    ],
    [
      'what the handle says',
      'async function use(handle: LowLatencyHandle): Promise<void> { const ranges: BigInt64Array = await handle.layoutRange(); const counts: Int32Array = await handle.numTokensPerExpert(); const src: Int32Array = await handle.srcInfo(); const slot: Int32Array = await handle.slot(); const tokens: number = handle.numTokens; handle.dispose(); }',
    ],
    [
      'options of order, and cleaning',
      'const event = rank.record(); const got = rank.lowLatencyDispatch({ x, topkIdx, asyncFinish: true, previousEvent: event, stream: rank.createStream(), numChannels: 4 }); if (got.event) rank.wait(got.event); await group.cleanLowLatencyBuffer();',
    ],
  ])('%s', (_name, text) => {
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });

  it('is clean down to the declarations, without types and with lib es2022', () => {
    expect(project.checkAll(`${SETUP}export {};`)).toEqual([]);
  });
});

const WITHOUT = 'which this one was built without: set ll in the spec and build again';
const WITHOUT_STATS = 'which this module was built without: set ll.stats in the spec';

describe('a program that does not compile', () => {
  it.each<[string, string, string]>([
    [
      'a dispatch of a module without low-latency calls',
      'without.lowLatencyDispatch({ x, topkIdx });',
      `Expected a module with lowLatencyDispatch, ${WITHOUT}`,
    ],
    [
      'a combine of a module without them',
      'plain.lowLatencyCombine([{ x: y, topkWeights, handle }]);',
      `Expected a module with lowLatencyCombine, ${WITHOUT}`,
    ],
    [
      'another hidden',
      "rank.lowLatencyDispatch({ x: rank.tensor('bf16', [4, 4096]), topkIdx });",
      'Expected x to have hidden 7168, which this module was built for, but received 4096',
    ],
    [
      'another dtype of rows',
      "rank.lowLatencyDispatch({ x: rank.tensor('fp8_e4m3', [4, 7168]), topkIdx });",
      "Expected x to have the dtype bf16 but received fp8_e4m3: make it with rank.tensor('bf16', [tokens, 7168])",
    ],
    [
      'another topk',
      "rank.lowLatencyDispatch({ x, topkIdx: rank.tensor('i64', [4, 6]) });",
      'Expected topkIdx to have topk 8, which this module was built for, but received 6',
    ],
    [
      'another type of index',
      "rank.lowLatencyDispatch({ x, topkIdx: rank.tensor('i32', [4, 8]) });",
      'Expected topkIdx to have the dtype i64 but received i32',
    ],
    [
      'statistics that were not compiled in',
      'rank.lowLatencyDispatch({ x, topkIdx, cumulativeStats });',
      `Expected the call to be without cumulativeStats, ${WITHOUT_STATS}`,
    ],
    [
      'times of a combine that were not compiled in',
      'rank.lowLatencyCombine({ x: y, topkWeights, handle, waitStats });',
      `Expected the call to be without waitStats, ${WITHOUT_STATS}`,
    ],
    [
      'an argument of another call',
      'rank.lowLatencyDispatch({ x, topkIdx, topkWeights });',
      'Expected the call to be without topkWeights, which lowLatencyDispatch does not know',
    ],
    [
      'an argument of another call of one of the ranks',
      'group.lowLatencyCombine([{ x: y, topkWeights, topkIdx, handle }]);',
      'Expected the call to be without topkIdx, which lowLatencyCombine does not know',
    ],
    [
      'outputs of another dtype',
      "rank.lowLatencyCombine({ x: rank.tensor('f32', [32, 1024, 7168]), topkWeights, handle });",
      'Expected x to have the dtype bf16 but received f32',
    ],
    [
      'outputs of another shape',
      'rank.lowLatencyCombine({ x, topkWeights, handle });',
      'Expected x to have the shape [experts / ranks, ranks * maxTokensPerRank, 7168]',
    ],
    [
      'an out of another hidden',
      "rank.lowLatencyCombine({ x: y, topkWeights, handle, out: rank.tensor('bf16', [4, 64]) });",
      'Expected out to have hidden 7168',
    ],
    [
      'a hook that nobody asked for',
      'received.hook();',
      "Cannot invoke an object which is possibly 'null'",
    ],
    ['scales of rows that are not cast', 'received.xScales;', "Property 'xScales' does not exist"],
    [
      "a high-throughput dispatch's handle",
      'rank.lowLatencyCombine({ x: y, topkWeights, handle: (await rank.dispatch({ x, topkIdx, topkWeights })).handle });',
      "is not assignable to type 'LowLatencyHandle<",
    ],
  ])('%s', (_name, text, message) => {
    const messages = project.check(`${SETUP}${text}\nexport {};`);
    expect(messages.join('\n')).toContain(message);
    expect(messages).toHaveLength(1);
  });
});
