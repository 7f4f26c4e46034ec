import { beforeAll, describe, expect, it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';

// Dispatch along a handle, without waiting for counts, and with gaps between rows: there where the spec has them.

const SETUP = `
import { openGroup } from './generated/full/index.js';
import { openGroup as openSlotted } from './generated/slotted/index.js';
import { openGroup as openPlain } from './generated/plain/index.js';
const group = await openGroup();
const [rank] = group.ranks;
const [gapped] = (await openSlotted()).ranks;
const [plain] = (await openPlain()).ranks;
if (rank === undefined || gapped === undefined || plain === undefined) throw new Error();
const x = rank.tensor('bf16', [4, 7168]);
const topkIdx = rank.tensor('i64', [4, 8]);
const topkWeights = rank.tensor('f32', [4, 8]);
const call = { x, topkIdx, topkWeights };
`;

let project: UserProject;

beforeAll(() => {
  project = new UserProject();
  const modules = {
    full: { cached: true, worstTokens: true, withoutTopk: true },
    slotted: { placement: 'slotted' },
    plain: {},
  } as const;
  for (const [name, features] of Object.entries(modules)) {
    expect(project.addModule(name, generatedModule(7168, features))).toEqual([]);
  }
});

describe('a program that compiles', () => {
  it.each([
    [
      'a handle in place of choices',
      'const { handle } = await rank.dispatch(call); const again = await rank.dispatch({ x, handle, copy: true, numChannels: 2 }); const bits: Uint16Array = await again.x.toArray(); await rank.combine({ x: again.x, handle: again.handle });',
    ],
    [
      'handles on all ranks',
      'const received = await group.dispatch(group.ranks.map(() => call)); const [first] = await group.dispatch(received.map(({ handle }) => ({ x, handle }))); const hidden: 7168 | undefined = first?.x.shape[1];',
    ],
    [
      'no wait for counts',
      'const received = await rank.dispatch({ ...call, numWorstTokens: 64, expertAlignment: 128 }); const empty: Int32Array = received.numTokensPerExpert;',
    ],
    [
      'null in the place of a handle, and of what it says',
      'const { handle } = await rank.dispatch({ ...call, handle: null }); await rank.dispatch({ x, handle, topkIdx: null, window: undefined });',
    ],
    [
      'counts per source where rows have gaps',
      'const counts: Int32Array = (await gapped.dispatch(call)).numTokensPerRank;',
    ],
    ['aligned counts of any spec', 'await plain.dispatch({ ...call, expertAlignment: 8 });'],
  ])('%s', (_name, text) => {
    expect(project.check(`${SETUP}${text}\nexport {};`)).toEqual([]);
  });
});

describe('a program that does not compile', () => {
  it.each([
    [
      'a handle without ht.cached',
      'const { handle } = await plain.dispatch(call); await plain.dispatch({ x, handle });',
      'Expected the call to be without handle, which this module was built without: set ht.cached in the spec and build again',
    ],
    [
      'a handle and choices',
      'const { handle } = await rank.dispatch(call); await rank.dispatch({ ...call, handle });',
      'Expected the call to be without topkIdx, which its handle says',
    ],
    [
      'a handle and counts that it has',
      'const { handle } = await rank.dispatch(call); await rank.dispatch({ x, handle, expertAlignment: 8 });',
      'Expected the call to be without expertAlignment, which its handle says',
    ],
    [
      'a handle and a window, on all ranks',
      'const { handle } = await rank.dispatch(call); group.enqueueDispatch([{ x, handle, window: 1 }]);',
      'Expected the call to be without window, which its handle says',
    ],
    [
      'a layout and choices',
      'const layout = await rank.getDispatchLayout({ topkIdx }); await rank.dispatch({ ...call, layout });',
      'Expected the call to be without topkIdx, which its layout says',
    ],
    [
      'numWorstTokens without ht.worstTokens',
      'await plain.dispatch({ ...call, numWorstTokens: 64 });',
      'Expected the call to be without numWorstTokens, which this module was built without: set ht.worstTokens in the spec and build again',
    ],
    [
      'counts per source of rows without gaps',
      'const received = await rank.dispatch(call); received.numTokensPerRank;',
      "Property 'numTokensPerRank' does not exist",
    ],
    [
      'choices that did not travel',
      'const { handle } = await rank.dispatch(call); const again = await rank.dispatch({ x, handle }); again.topkIdx;',
      "Property 'topkIdx' does not exist",
    ],
  ])('%s', (_name, text, message) => {
    expect(project.check(`${SETUP}${text}\nexport {};`).join('\n')).toContain(message);
  });
});
