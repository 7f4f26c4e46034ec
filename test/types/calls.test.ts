import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

const SETUP = `
import { openGroup, spec, sizes } from './generated/ep8_h7168_bf16/index.js';
import type { DispatchCall, Handle, Received } from './generated/ep8_h7168_bf16/index.js';
import { openGroup as openOther } from './generated/ep8_h4096_bf16/index.js';
const group = await openGroup();
const [rank] = group.ranks;
if (rank === undefined) throw new Error();
declare const numTokens: number;
const x = rank.tensor('bf16', [numTokens, spec.hidden]);
const topkIdx = rank.tensor('i64', [numTokens, spec.topk], [1, 2]);
const topkWeights = rank.tensor('f32', [numTokens, 8]);
`;

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  expect(project.addModule('ep8_h7168_bf16', generatedModule(7168))).toEqual([]);
  expect(project.addModule('ep8_h4096_bf16', generatedModule(4096))).toEqual([]);
});

describe('a program that compiles', () => {
  it.each([
    [
      'one rank',
      'const { handle, x: y } = await rank.dispatch({ x, topkIdx, topkWeights, copy: true, numChannels: 4 }); await rank.combine({ x: y, handle, numChannels: 2 });',
    ],
    [
      'all ranks, mapped',
      'const received = await group.dispatch(group.ranks.map((rank) => ({ x, topkIdx, topkWeights }))); const combined = await group.combine(received.map(({ x, handle }) => ({ x, handle }))); const out: Promise<Uint16Array> | undefined = combined[0]?.x.toArray();',
    ],
    [
      'all ranks, other numbers of tokens',
      "await group.dispatch([{ x, topkIdx, topkWeights }, { x: rank.tensor('bf16', [3, 7168]), topkIdx: rank.tensor('i64', [3, 8]), topkWeights: rank.tensor('f32', [3, 8]) }]);",
    ],
    [
      'Promise.all over ranks',
      'await Promise.all(group.ranks.map((rank) => rank.dispatch({ x, topkIdx, topkWeights })));',
    ],
    [
      'calls made elsewhere',
      'function call(): DispatchCall { return { x, topkIdx, topkWeights }; } await rank.dispatch(call()); const calls: DispatchCall[] = [call()]; await group.dispatch(calls);',
    ],
    [
      'enqueued calls',
      'const [first] = group.enqueueDispatch([{ x, topkIdx, topkWeights }]); if (first !== undefined) { group.enqueueCombine([{ x: first.x, handle: first.handle }]); const n: Int32Array = await first.numRecvTokens.toArray(); }',
    ],
    [
      'an expert that writes into the window',
      'const { handle } = await rank.dispatch({ x, topkIdx, topkWeights }); const y = rank.combineInput(handle); await y.copyFrom(new Float32Array(7168)); await rank.combine({ x: y, handle });',
    ],
    [
      'the layout',
      'const { isTokenInRank, numTokensPerRdmaRank } = await rank.getDispatchLayout({ topkIdx }); const none: null = numTokensPerRdmaRank; const bits: Uint8Array = await isTokenInRank.toArray();',
    ],
    [
      'literal sizes',
      'const bytes: 2358648832 = sizes.windowBytes; const hidden: 7168 = x.shape[1]; const topk: 8 = topkIdx.shape[1];',
    ],
    [
      'typed results',
      'function use(received: Received): Handle { const counts: Int32Array = received.numTokensPerExpert; const bits: Promise<BigInt64Array> = received.topkIdx.toArray(); return received.handle; }',
    ],
    [
      'options and the end',
      "const other = await openGroup({ backend: 'cpu', devices: [0], deadlineMs: 5, firstDeadlineMs: 6, addonDir: 'a', seed: 1n }); await other.recover(); await other.dispose(); await other[Symbol.asyncDispose]();",
    ],
  ])('%s', (_name, text) => {
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });

  it('is clean down to the declarations, without types and with lib es2022', () => {
    expect(project.checkAll(`${SETUP}export {};`)).toEqual([]);
  });

  it('disposes with await using', () => {
    const text = `${SETUP}await using group2 = await openGroup();`;
    const lib = ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'];
    expect(project.check(text, { lib })).toEqual([]);
  });
});

const H4096 =
  'Expected x to have hidden 7168, which this module was built for, but received 4096: run epgen build --ranks 8 --hidden 4096';

describe('a program that does not compile', () => {
  it.each<[string, string, string]>([
    [
      'another hidden',
      "rank.dispatch({ x: rank.tensor('bf16', [4, 4096]), topkIdx, topkWeights });",
      H4096,
    ],
    [
      'another hidden of all ranks',
      "group.dispatch([{ x: rank.tensor('bf16', [4, 4096]), topkIdx, topkWeights }]);",
      H4096,
    ],
    [
      'another hidden of mapped ranks',
      "group.dispatch(group.ranks.map((rank) => ({ x: rank.tensor('bf16', [4, 4096]), topkIdx, topkWeights })));",
      H4096,
    ],
    [
      'another hidden in combine',
      "rank.combine({ x: rank.tensor('bf16', [4, 4096]), handle: {} as Handle });",
      H4096,
    ],
    [
      'another hidden in group.enqueueCombine',
      "group.enqueueCombine([{ x: rank.tensor('bf16', [4, 4096]), handle: {} as Handle }]);",
      H4096,
    ],
    [
      'a hidden that nobody knows',
      "rank.dispatch({ x: rank.tensor('bf16', [4, numTokens]), topkIdx, topkWeights });",
      'Expected x to have the shape [tokens, 7168] but received a hidden that the compiler does not know: write spec.hidden in the shape',
    ],
    [
      'another dtype',
      "rank.dispatch({ x: rank.tensor('f32', [4, 7168]), topkIdx, topkWeights });",
      "Expected x to have the dtype bf16 but received f32: make it with rank.tensor('bf16', [tokens, 7168])",
    ],
    [
      'another shape',
      "rank.dispatch({ x: rank.tensor('bf16', [7168]), topkIdx, topkWeights });",
      'Expected x to have the shape [tokens, 7168]',
    ],
    [
      'another dtype of indices',
      "rank.dispatch({ x, topkIdx: rank.tensor('i32', [4, 8]), topkWeights });",
      "Expected topkIdx to have the dtype i64 but received i32: make it with rank.tensor('i64', [tokens, 8])",
    ],
    [
      'another top-k',
      "rank.dispatch({ x, topkIdx, topkWeights: rank.tensor('f32', [4, 6]) });",
      'Expected topkWeights to have topk 8, which this module was built for, but received 6: run epgen build --ranks 8 --hidden 7168 --topk 6',
    ],
    ['no weights', 'rank.dispatch({ x, topkIdx });', "Property 'topkWeights' is missing"],
    ['no handle', 'rank.combine({ x });', "Property 'handle' is missing"],
    ['no handle of a group', 'group.combine([{ x }]);', "Property 'handle' is missing"],
    [
      'a whole result as a call',
      'rank.combine(await rank.dispatch({ x, topkIdx, topkWeights }));',
      "Types of property 'topkWeights' are incompatible",
    ],
    [
      'whole results as calls',
      'group.combine(await group.dispatch([{ x, topkIdx, topkWeights }]));',
      "Types of property 'topkWeights' are incompatible",
    ],
    [
      'a handle of another spec',
      'const other = await openOther(); rank.combine({ x, handle: {} as Parameters<typeof other.ranks[0]["combineInput"]>[0] });',
      `Type '"ep8_h4096_bf16"' is not assignable to type '"ep8_h7168_bf16"'`,
    ],
    [
      'a mode that was not compiled in',
      'rank.lowLatencyDispatch({});',
      'Expected a module with lowLatencyDispatch, which this one was built without: set ll in the spec',
    ],
    ['a graph of no function', 'group.capture({});', "Argument of type '{}' is not assignable"],
    [
      'an unknown option',
      'rank.dispatch({ x, topkIdx, topkWeights, bias: x });',
      'Expected the call to be without bias, which dispatch does not know',
    ],
    [
      'an unknown dtype',
      "rank.tensor('fp8', [4, 7168]);",
      `Argument of type '"fp8"' is not assignable to parameter of type 'DType'`,
    ],
    [
      'wrong values',
      "rank.tensor('i32', [2], new Float32Array(2));",
      "Argument of type 'Float32Array<ArrayBuffer>' is not assignable",
    ],
    [
      'a call without await of what it gives',
      'const { x: y } = rank.dispatch({ x, topkIdx, topkWeights });',
      "Property 'x' does not exist on type 'Promise<",
    ],
    [
      'a wrong name, told without spelling out the spec',
      'const { handle } = await rank.dispatch({ x, topkIdx, topkWeights }); handle.numTokenz;',
      "Property 'numTokenz' does not exist on type 'Handle<Spec>'",
    ],
  ])('%s', (_name, text, message) => {
    const messages = project.check(`${SETUP}${text}\nexport {};`);
    expect(messages.join('\n')).toContain(message);
    expect(messages).toHaveLength(1);
  });
});
