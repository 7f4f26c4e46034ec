import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

// What dispatch takes and gives depends on the spec: programs against a module with all of it, and one without.

const SETUP = `
import { openGroup, spec } from './generated/scaled/index.js';
import type { DispatchCall, Received } from './generated/scaled/index.js';
import { openGroup as openPlain } from './generated/plain/index.js';
const group = await openGroup();
const plain = await openPlain();
const [rank] = group.ranks;
const [other] = plain.ranks;
if (rank === undefined || other === undefined) throw new Error();
const x = rank.tensor('fp8_e4m3', [4, spec.hidden]);
const xScales = rank.tensor('f32', [4, 56]);
const extras = rank.tensor('u8', [4, spec.extraBytes]);
const topkIdx = rank.tensor('i32', [4, spec.topk]);
const topkWeights = rank.tensor('f32', [4, spec.topk]);
const bf16 = {
  x: other.tensor('bf16', [4, 7168]),
  topkIdx: other.tensor('i64', [4, 8]),
  topkWeights: other.tensor('f32', [4, 8]),
};
const layout = await rank.getDispatchLayout({ topkIdx });
`;

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  const features = {
    dtype: 'fp8_e4m3',
    extraBytes: 12,
    topkIdx: 'i32',
    withoutTopk: true,
  } as const;
  expect(project.addModule('scaled', generatedModule(7168, features))).toEqual([]);
  expect(project.addModule('plain', generatedModule(7168))).toEqual([]);
});

describe('a program that compiles', () => {
  it.each([
    [
      'scales and extras',
      'const received = await rank.dispatch({ x, xScales, extras, topkIdx, topkWeights }); const scales: Promise<Float32Array> = received.xScales.toArray(); const bytes: 12 = received.extras.shape[1]; const bits: Promise<Int32Array> = received.topkIdx.toArray();',
    ],
    [
      'a layout in place of choices',
      'const received = await rank.dispatch({ x, xScales, extras, layout }); const none: null = received.topkWeights; const src: Int32Array = await received.handle.recvSrcIdx();',
    ],
    [
      'layouts on all ranks',
      'const [first] = await group.dispatch(group.ranks.map(() => ({ x, xScales, extras, layout }))); const none: null | undefined = first?.topkIdx;',
    ],
    [
      'a call made elsewhere',
      'function call(): DispatchCall { return { x, xScales, extras, topkIdx, topkWeights }; } const received: Received = await rank.dispatch(call());',
    ],
  ])('%s', (_name, text) => {
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });
});

describe('a program that does not compile', () => {
  it.each<[string, string, string]>([
    [
      'no scales',
      'rank.dispatch({ x, extras, topkIdx, topkWeights });',
      "Property 'xScales' is missing",
    ],
    [
      'scales of another type',
      "rank.dispatch({ x, xScales: rank.tensor('i32', [4, 56]), extras, topkIdx, topkWeights });",
      "Expected xScales to have the dtype f32 but received i32: make it with rank.tensor('f32', [tokens, scales])",
    ],
    [
      'scales in one dimension',
      "rank.dispatch({ x, xScales: rank.tensor('f32', [224]), extras, topkIdx, topkWeights });",
      'Expected xScales to have the shape [tokens, scales]',
    ],
    [
      'extras of another size',
      "rank.dispatch({ x, xScales, extras: rank.tensor('u8', [4, 16]), topkIdx, topkWeights });",
      'Expected extras to have extraBytes 12, which this module was built for, but received 16: run epgen build --ranks 8 --hidden 7168 --extra-bytes 16',
    ],
    [
      'rows of another type',
      "rank.dispatch({ x: rank.tensor('bf16', [4, 7168]), xScales, extras, topkIdx, topkWeights });",
      "Expected x to have the dtype fp8_e4m3 but received bf16: make it with rank.tensor('fp8_e4m3', [tokens, 7168])",
    ],
    [
      'indices of another width',
      "rank.dispatch({ x, xScales, extras, topkIdx: rank.tensor('i64', [4, 8]), topkWeights });",
      "Expected topkIdx to have the dtype i32 but received i64: make it with rank.tensor('i32', [tokens, 8])",
    ],
    [
      'scales of a spec without',
      'other.dispatch({ ...bf16, xScales });',
      "Expected the call to be without xScales, which this module was built without: set dtype 'fp8_e4m3' in the spec and build again",
    ],
    [
      'a layout of a spec without, on all ranks',
      'plain.dispatch([{ ...bf16, layout }]);',
      'Expected the call to be without layout, which this module was built without: set ht.withoutTopk in the spec and build again',
    ],
    [
      'scales that a spec without did not receive',
      'const { xScales: none } = await other.dispatch(bf16);',
      "Property 'xScales' does not exist",
    ],
    [
      'choices that a layout did not bring',
      'const { topkIdx: none } = await rank.dispatch({ x, xScales, extras, layout }); none.toArray();',
      "'none' is possibly 'null'",
    ],
  ])('%s', (_name, text, message) => {
    const messages = project.check(`${SETUP}${text}\nexport {};`);
    expect(messages.join('\n')).toContain(message);
    expect(messages).toHaveLength(1);
  });
});
