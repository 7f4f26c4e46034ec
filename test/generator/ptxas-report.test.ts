import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EpgenError } from '../../generator/errors.js';
import { readPtxasReport, requireFewSpills } from '../../generator/ptxas-report.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'epgen-ptxas-'));
});
afterAll(() => rm(root, { recursive: true }));

/** What `ptxas -v` prints for a kernel that calls one function. */
function report(name: string, { spills = 0, calleeSpills = 0, smem = '' } = {}): string {
  const mangled = `_ZN5epgen4test${name.length + 7}${name}_kernelENS0_4ArgsE`;
  return [
    `ptxas info    : Compiling entry function '${mangled}' for 'sm_90a'`,
    `ptxas info    : Function properties for ${mangled}`,
    `    40 bytes stack frame, ${spills} bytes spill stores, ${spills} bytes spill loads`,
    `ptxas info    : Used 56 registers, used 1 barriers, 40 bytes cumulative stack size${smem}`,
    'ptxas info    : Compile time = 112.775 ms',
    'ptxas info    : Function properties for _ZN5epgen7give_upEv',
    `    0 bytes stack frame, ${calleeSpills} bytes spill stores, 0 bytes spill loads`,
    '',
  ].join('\n');
}

let count = 0;
async function folderWith(...texts: readonly string[]): Promise<string> {
  count += 1;
  const folder = join(root, String(count), 'deep');
  await mkdir(folder, { recursive: true });
  await Promise.all(texts.map((text, i) => writeFile(join(folder, `${i}.cu.o.log`), text)));
  return join(root, String(count));
}

const others = [report('combine'), report('dispatch_layout')];
const names = ['dispatch', 'combine', 'dispatch_layout'];

describe('readPtxasReport', () => {
  it('tells of registers, shared memory and the stack', async () => {
    const kernels = await readPtxasReport(
      await folderWith(report('dispatch', { smem: ', 1024 bytes smem' }), ...others),
      names,
    );
    expect(kernels.map(({ name }) => name)).toEqual(names);
    expect(kernels[0]).toEqual({
      name: 'dispatch',
      registers: 56,
      staticSharedBytes: 1024,
      stackBytes: 40,
      spillStoreBytes: 0,
      spillLoadBytes: 0,
    });
  });

  it.each([
    [
      'launch bounds are ignored',
      `${report('dispatch')}ptxas warning : (C7508) Potential Performance Loss: setmaxnreg ignored\n`,
      /ignored the launch bounds of a kernel: .*C7508/,
    ],
    ['a kernel is absent', '', /tell of the kernel dispatch/],
  ])('fails where %s', async (_name, text, message) => {
    const pending = readPtxasReport(await folderWith(text, ...others), names);
    await expect(pending).rejects.toThrow(EpgenError);
    await expect(pending).rejects.toThrow(message);
  });
});

describe('requireFewSpills', () => {
  const kernelsOf = async (...texts: readonly string[]) =>
    readPtxasReport(await folderWith(...texts, ...others), names);

  it.each<[name: string, dispatch: string, maxSpillBytes: number]>([
    ['no spills', report('dispatch'), 0],
    ['as many as the spec allows', report('dispatch', { spills: 8 }), 16],
    ['fewer', report('dispatch', { spills: 8 }), 17],
    ["a callee's, counted as the kernel's", report('dispatch', { spills: 4, calleeSpills: 4 }), 12],
  ])('takes %s', async (_name, dispatch, maxSpillBytes) => {
    const kernels = await kernelsOf(dispatch);
    expect(requireFewSpills(kernels, maxSpillBytes)).toBeUndefined();
  });

  it.each<[name: string, dispatch: string, maxSpillBytes: number, message: string, hint: string]>([
    [
      'any, where the spec allows none',
      report('dispatch', { spills: 8 }),
      0,
      'Expected each kernel to spill at most maxSpillBytes (0) bytes of registers but found:\n' +
        '  dispatch: 16 bytes (8 stored and 8 loaded), with 56 registers',
      '`maxSpillBytes: 16` in the spec allows these',
    ],
    [
      'one byte too many',
      report('dispatch', { spills: 8 }),
      15,
      'Expected each kernel to spill at most maxSpillBytes (15) bytes of registers but found:\n' +
        '  dispatch: 16 bytes (8 stored and 8 loaded), with 56 registers',
      '`maxSpillBytes: 16` in the spec allows these',
    ],
    [
      'what a kernel calls spills',
      report('dispatch', { calleeSpills: 4 }),
      0,
      'Expected each kernel to spill at most maxSpillBytes (0) bytes of registers but found:\n' +
        '  dispatch: 4 bytes (4 stored and 0 loaded), with 56 registers',
      '`maxSpillBytes: 4` in the spec allows these',
    ],
  ])('refuses %s', async (_name, dispatch, maxSpillBytes, message, hint) => {
    const kernels = await kernelsOf(dispatch);
    const error = failureOf(() => requireFewSpills(kernels, maxSpillBytes));
    expect(error).toMatchObject({ code: 'EPGEN_COMPILE', message });
    expect(error.hint).toContain(hint);
  });

  it('names every kernel that spills, and what the worst of them needs', async () => {
    const folder = await folderWith(
      report('dispatch', { spills: 8 }),
      report('combine', { spills: 32 }),
      report('dispatch_layout', { spills: 4 }),
    );
    const kernels = await readPtxasReport(folder, names);
    const error = failureOf(() => requireFewSpills(kernels, 8));
    expect(error.message).toMatch(/\n {2}dispatch: 16 .*\n {2}combine: 64 .*/);
    expect(error.message).not.toContain('dispatch_layout');
    expect(error.hint).toContain('`maxSpillBytes: 64`');
  });
});

function failureOf(work: () => void): EpgenError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(EpgenError);
    return error as EpgenError;
  }
  throw new Error('Expected a failure');
}
