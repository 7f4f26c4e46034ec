import { it } from 'vitest';
import { UserProject } from './compile.js';
import { generatedModule } from './generated-module.js';
const SETUP = `
import { openGroup } from './generated/full/index.js';
import { openGroup as openPlain } from './generated/plain/index.js';
const group = await openGroup();
const plainGroup = await openPlain();
const [rank] = group.ranks;
const [plain] = plainGroup.ranks;
if (rank === undefined || plain === undefined) throw new Error();
const call = { x: rank.tensor('bf16', [4, 7168]), topkIdx: rank.tensor('i64', [4, 8]), topkWeights: rank.tensor('f32', [4, 8]) };
const received = await rank.dispatch(call);
const pr = await plain.dispatch(call);
const { x, handle, topkWeights } = received;
const pc = { x: pr.x, handle: pr.handle };
const bias = rank.tensor('bf16', [4, 7168]);
const layout = await rank.getDispatchLayout({ topkIdx: call.topkIdx });
`;
it('zz', () => {
  const project = new UserProject();
  const full = generatedModule(7168, { cached: true, worstTokens: true, withoutTopk: true } as never).replace('combineWeights: false', 'combineWeights: true').replace('biases: 0', 'biases: 2').replace('expertMajor: false', 'expertMajor: true').replace('withoutTopk: false', 'withoutTopk: true');
  console.log(project.addModule('full', full), project.addModule('plain', generatedModule(7168)));
  const cases: Record<string, string> = {
    'OK base': 'group.combine([{ x, handle, topkWeights, bias, expertMajor: rank.expertMajor(received) }]); plainGroup.combine([pc]);',
    'group.combine bias lacking': 'plainGroup.combine([{ ...pc, bias }]);',
    'group.combine expertMajor lacking': 'plainGroup.combine([{ ...pc, expertMajor: 5 }]);',
    'group.combine weights lacking': 'plainGroup.combine([{ ...pc, topkWeights }]);',
    'group.combine typo': 'group.combine([{ x, handle, biass: bias }]);',
    'rank.combine typo': 'rank.combine({ x, handle, biass: bias });',
    'rank.combine em lacking': 'plain.combine({ ...pc, expertMajor: 5 });',
    'rank.combine whole received': 'rank.combine(received);',
    'group.combine whole received': 'group.combine([received]);',
    'plain whole received': 'plainGroup.combine([pr]);',
    'cached + topk': 'rank.dispatch({ ...call, handle });',
    'cached + align': 'rank.dispatch({ x, handle, expertAlignment: 4 });',
    'cached + worst': 'rank.dispatch({ x, handle, numWorstTokens: 4 });',
    'cached + window': 'rank.dispatch({ x, handle, window: 0 });',
    'layout+topk': 'rank.dispatch({ ...call, layout });',
    'handle null': 'rank.dispatch({ ...call, handle: null }); plain.dispatch({ ...call, handle: null });',
    'enqueue copy': 'group.enqueueDispatch([{ ...call, copy: true }]);',
    'em plain': 'plain.expertMajor(pr);',
    'em enqueued': 'rank.expertMajor(group.enqueueDispatch([call])[0]!);',
    'em layout': 'rank.expertMajor((await rank.dispatch({ x: call.x, layout }))!);',
    'readyCounters absent': 'received.ready;',
    'typo dispatch': 'rank.dispatch({ ...call, numWorstToken: 3 }); group.dispatch([{ ...call, asyncfinish: true }]);',
    'other handle spec': 'plain.combine({ x: pr.x, handle });',
    'replay type': 'const g = await group.capture(() => group.enqueueDispatch([call])); const t: Promise<Uint16Array> = g.replay()[0]!.x.toArray();',
    'capture promise': 'await group.capture(async () => 5);',
    'async event': 'const e = (await rank.dispatch({ ...call, asyncFinish: true })).event; await rank.combine({ x, handle, previousEvent: e });',
  };
  for (const [k, v] of Object.entries(cases)) console.log(k, '=>', project.check(`${SETUP}${v}\nexport {};`).map((m) => m.slice(0, 300)));
});
