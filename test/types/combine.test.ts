import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

// What combine takes and gives follows from the spec.

const SETUP = `
import { openGroup } from './generated/full/index.js';
import { openGroup as openPlain } from './generated/plain/index.js';
const group = await openGroup();
const [rank] = group.ranks;
const [plain] = (await openPlain()).ranks;
if (rank === undefined || plain === undefined) throw new Error();
const rows = { x: rank.tensor('bf16', [4, 7168]), topkIdx: rank.tensor('i64', [4, 8]), topkWeights: rank.tensor('f32', [4, 8]) };
const received = await rank.dispatch(rows);
const { handle, topkWeights } = received;
const x = rank.combineInput(handle);
const bias = rank.tensor('f32', [4, 7168]);
const plainCall = { x: plain.tensor('bf16', [3, 7168]), handle: (await plain.dispatch(rows)).handle };
`;

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  const full = generatedModule(7168)
    .replace("combineDtype: 'bf16'", "combineDtype: 'f32'")
    .replace('combineWeights: false', 'combineWeights: true')
    .replace('biases: 0', 'biases: 2');
  expect(project.addModule('full', full)).toEqual([]);
  const oneBias = generatedModule(7168).replace('biases: 0', 'biases: 1');
  expect(project.addModule('one_bias', oneBias)).toEqual([]);
  expect(project.addModule('plain', generatedModule(7168))).toEqual([]);
});

describe('a program that compiles', () => {
  it.each([
    [
      'f32 sums, weights and a bias',
      'const combined = await rank.combine({ x, handle, topkWeights, bias }); const sums: Float32Array = await combined.x.toArray(); const weights: Float32Array | undefined = await combined.topkWeights?.toArray(); const topk: 8 | undefined = combined.topkWeights?.shape[1];',
    ],
    [
      'one bias of two, both, or none',
      'await rank.combine({ x, handle, bias: [bias] }); await rank.combine({ x, handle, bias: [bias, bias] }); await rank.combine({ x, handle, bias: null, topkWeights: null });',
    ],
    [
      'all ranks',
      'const [first] = await group.combine([{ x, handle, topkWeights, bias: [bias, bias] }]); const weights: Promise<Float32Array> | undefined = first?.topkWeights?.toArray(); group.enqueueCombine([{ x, handle }]);',
    ],
    [
      'calls made elsewhere',
      "import type { CombineCall } from './generated/full/index.js'; const call: CombineCall = { x, handle, topkWeights, bias: [bias, bias] }; await rank.combine(call); await group.combine([call]);",
    ],
    [
      'a bias of a spec with one',
      "import { openGroup as openOne } from './generated/one_bias/index.js'; const [one] = (await openOne()).ranks; const call = { x: rank.tensor('bf16', [3, 7168]), handle: {} as never }; await one?.combine({ ...call, bias: rank.tensor('bf16', [4, 7168]) });",
    ],
    [
      'a spec without them',
      'const { x: sums } = await plain.combine(plainCall); const bits: Uint16Array = await sums.toArray();',
    ],
  ])('%s', (_name, text) => {
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });
});

describe('a program that does not compile', () => {
  it.each([
    [
      'received rows where combine moves another dtype',
      'rank.combine({ x: received.x, handle });',
      "Expected x to have the dtype f32 but received bf16: make it with rank.tensor('f32', [tokens, 7168])",
    ],
    [
      'weights of another dtype',
      "rank.combine({ x, handle, topkWeights: rank.tensor('bf16', [3, 8]) });",
      "Expected topkWeights to have the dtype f32 but received bf16: make it with rank.tensor('f32', [tokens, 8])",
    ],
    [
      'weights of another top-k for all ranks',
      "group.combine([{ x, handle, topkWeights: rank.tensor('f32', [3, 6]) }]);",
      'Expected topkWeights to have topk 8, which this module was built for, but received 6',
    ],
    [
      'a bias of another dtype',
      "rank.combine({ x, handle, bias: rank.tensor('bf16', [4, 7168]) });",
      "Expected bias to have the dtype f32 but received bf16: make it with rank.tensor('f32', [tokens, 7168])",
    ],
    ['three biases', 'rank.combine({ x, handle, bias: [bias, bias, bias] });', 'not assignable'],
    [
      'two biases of a spec with one',
      "import { openGroup as openOne } from './generated/one_bias/index.js'; const [one] = (await openOne()).ranks; const b = rank.tensor('bf16', [4, 7168]); one?.combine({ x: b, handle: {} as never, bias: [b, b] });",
      'not assignable',
    ],
    [
      'a bias that the spec lacks',
      'plain.combine({ ...plainCall, bias });',
      "'bias' does not exist",
    ],
    [
      'weights that the spec lacks',
      'plain.combine({ ...plainCall, topkWeights });',
      'is not assignable to type',
    ],
    [
      'weights of a result that has none',
      'const { topkWeights: none } = await plain.combine(plainCall);',
      "Property 'topkWeights' does not exist",
    ],
  ])('%s', (_name, text, message) => {
    expect(project.check(`${SETUP}${text}\nexport {};`).join('\n')).toContain(message);
  });
});
