import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

// A module whose calls are low-latency ones alone offers no others.

const SETUP = `
import { openGroup, spec } from './generated/alone/index.js';
const group = await openGroup();
const [rank] = group.ranks;
if (rank === undefined) throw new Error();
const x = rank.tensor('bf16', [4, spec.hidden]);
const topkIdx = rank.tensor('i64', [4, spec.topk]);
const topkWeights = rank.tensor('f32', [4, spec.topk]);
const y = rank.tensor('bf16', [32, 1024, spec.hidden]);
`;
const WITHOUT = 'which this one was built without: set ht in the spec and build again';

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  const text = generatedModule(7168, { ht: false, ll: {} });
  expect(project.addModule('alone', text)).toEqual([]);
});

describe('a program that compiles', () => {
  it('makes low-latency calls, in a graph too', () => {
    const text =
      'const { handle } = rank.lowLatencyDispatch({ x, topkIdx }); rank.lowLatencyCombine({ x: y, topkWeights, handle }); const graph = await group.capture(() => group.lowLatencyDispatch([{ x, topkIdx }])); graph.replay(); await group.recover(); const none: false = spec.ht;';
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });

  it('is clean down to the declarations, without types and with lib es2022', () => {
    expect(project.checkAll(`${SETUP}export {};`)).toEqual([]);
  });
});

describe('a program that does not compile', () => {
  it.each<[string, string, string]>([
    [
      'a dispatch',
      'await rank.dispatch({ x, topkIdx, topkWeights });',
      `Expected a module with dispatch, ${WITHOUT}`,
    ],
    [
      'a dispatch of all ranks',
      'await group.dispatch([{ x, topkIdx, topkWeights }]);',
      `Expected a module with dispatch, ${WITHOUT}`,
    ],
    [
      'an enqueued dispatch',
      'group.enqueueDispatch([{ x, topkIdx, topkWeights }]);',
      `Expected a module with dispatch, ${WITHOUT}`,
    ],
    [
      'a combine',
      'declare const handle: never; await rank.combine({ x, handle });',
      `Expected a module with combine, ${WITHOUT}`,
    ],
    [
      'an enqueued combine',
      'declare const handle: never; group.enqueueCombine([{ x, handle }]);',
      `Expected a module with combine, ${WITHOUT}`,
    ],
    [
      'a layout',
      'await rank.getDispatchLayout({ topkIdx });',
      `Expected a module with getDispatchLayout, ${WITHOUT}`,
    ],
    [
      'the layouts of all ranks',
      'await group.getDispatchLayout([{ topkIdx }]);',
      `Expected a module with getDispatchLayout, ${WITHOUT}`,
    ],
    [
      "memory for a high-throughput combine's input",
      'rank.combineInput(rank.lowLatencyDispatch({ x, topkIdx }).handle);',
      `Expected a module with combineInput, ${WITHOUT}`,
    ],
    [
      'rows by local expert',
      'rank.expertMajor({ x });',
      'Expected a module with rank.expertMajor, which this one was built without',
    ],
    [
      'types of calls that are not there',
      "import type { Received } from './generated/alone/index.js'; declare const got: Received;",
      "has no exported member 'Received'",
    ],
  ])('%s', (_name, text, message) => {
    const messages = project.check(`${SETUP}${text}\nexport {};`);
    expect(messages.join('\n')).toContain(message);
    expect(messages).toHaveLength(1);
  });
});
