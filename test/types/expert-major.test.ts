import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

const SETUP = `
import { openGroup, spec } from './generated/experts/index.js';
import { openGroup as openPlain } from './generated/plain/index.js';
const group = await openGroup();
const plain = await openPlain();
const [rank] = group.ranks;
const [other] = plain.ranks;
if (rank === undefined || other === undefined) throw new Error();
const received = await rank.dispatch({
  x: rank.tensor('bf16', [4, spec.hidden]),
  extras: rank.tensor('u8', [4, spec.extraBytes]),
  topkIdx: rank.tensor('i64', [4, spec.topk]),
  topkWeights: rank.tensor('f32', [4, spec.topk]),
});
const { handle } = received;
declare const numRows: number;
const y = rank.tensor('bf16', [numRows, spec.hidden]);
`;

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  const features = { extraBytes: 12, expertMajor: true } as const;
  expect(project.addModule('experts', generatedModule(7168, features))).toEqual([]);
  expect(project.addModule('plain', generatedModule(7168))).toEqual([]);
});

describe('a program that compiles', () => {
  it.each([
    [
      'rows by expert, and back',
      'const byExpert = rank.expertMajor(received, { zeroPadding: true }); const hidden: 7168 = byExpert.x.shape[1]; const bytes: 12 = byExpert.extras.shape[1]; const counts: Int32Array = byExpert.numTokensPerExpert; await rank.combine({ x: y, handle, expertMajor: byExpert });',
    ],
    [
      'flat rows as ever',
      'await rank.combine({ x: y, handle }); await rank.combine({ x: y, handle, expertMajor: null });',
    ],
    [
      'all ranks',
      'await group.combine([{ x: y, handle, expertMajor: rank.expertMajor(received) }]);',
    ],
    ['rows of another tensor', 'rank.expertMajor({ ...received, x: y });'],
  ])('%s', (_name, text) => {
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });
});

const BARE =
  "const bare = await other.dispatch({ x: other.tensor('bf16', [4, 7168]), topkIdx: other.tensor('i64', [4, 8]), topkWeights: other.tensor('f32', [4, 8]) });";

describe('a program that does not compile', () => {
  it.each<[string, string, string]>([
    [
      'a module without it',
      `${BARE} other.expertMajor(bare);`,
      'Expected a module with rank.expertMajor, which this one was built without: set ht.expertMajor in the spec and build again',
    ],
    [
      'a combine without it',
      `${BARE} other.combine({ x: bare.x, handle: bare.handle, expertMajor: null });`,
      "'expertMajor' does not exist",
    ],
    [
      'results without counts',
      'const [first] = group.enqueueDispatch([{ x: y, extras: received.extras, topkIdx: received.topkIdx, topkWeights: received.topkWeights }]); if (first) rank.expertMajor(first);',
      "Types of property 'numTokensPerExpert' are incompatible",
    ],
    ['an unknown option', 'rank.expertMajor(received, { zeros: true });', "'zeros' does not exist"],
  ])('%s', (_name, text, message) => {
    const messages = project.check(`${SETUP}${text}\nexport {};`);
    expect(messages.join('\n')).toContain(message);
    expect(messages).toHaveLength(1);
  });
});
