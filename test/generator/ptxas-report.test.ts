import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EpgenError } from '../../generator/errors.js';
import { readPtxasReport } from '../../generator/ptxas-report.js';

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

describe('readPtxasReport', () => {
  it('tells of registers, shared memory and the stack', async () => {
    const kernels = await readPtxasReport(
      await folderWith(report('dispatch', { smem: ', 1024 bytes smem' }), ...others),
    );
    expect(kernels.map(({ name }) => name)).toEqual(['dispatch', 'combine', 'dispatch_layout']);
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
    ['a kernel spills', report('dispatch', { spills: 8 }), /dispatch: 8 bytes stored and 8 loaded/],
    [
      'what a kernel calls spills',
      report('dispatch', { calleeSpills: 4 }),
      /dispatch: 4 bytes stored/,
    ],
    [
      'launch bounds are ignored',
      `${report('dispatch')}ptxas warning : (C7508) Potential Performance Loss: setmaxnreg ignored\n`,
      /ignored the launch bounds of a kernel: .*C7508/,
    ],
    ['a kernel is absent', '', /tell of the kernel dispatch/],
  ])('fails where %s', async (_name, text, message) => {
    const pending = readPtxasReport(await folderWith(text, ...others));
    await expect(pending).rejects.toThrow(EpgenError);
    await expect(pending).rejects.toThrow(message);
  });
});
