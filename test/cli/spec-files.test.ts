import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { records, runCli } from './run-cli.js';

let cwd = '';

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'epgen-specs-'));
  await mkdir(join(cwd, 'node_modules'));
  await mkdir(join(cwd, 'specs'));
});
afterEach(() => rm(cwd, { recursive: true }));

const run = (...args: string[]) => runCli(args, { cwd });
const SHAPE = 'export default { ranks: 2, hidden: 64 };\n';
const write = (text: string) => writeFile(join(cwd, 'specs', 'a.spec.ts'), text);

describe('a spec file', () => {
  it.each([
    ['process.exit(0);', /a\.spec\.ts:1:\d+: the spec called process\.exit\(0\)/],
    ['await new Promise(() => {});', /a\.spec\.ts: the spec waits for something that never/],
  ])('that runs %s ends no command as if it had worked', async (statement, message) => {
    await write(`${statement}\n${SHAPE}`);
    const generated = await run('generate');
    expect(generated.stderr).toMatch(message);
    expect(generated.code).toBe(2);
    const checked = await run('check');
    expect(checked.stdout).toMatch(message);
    expect(checked.code).toBe(1);
  });

  it('that ends the process later does not end it as if it had worked', async () => {
    // Before the next spec has been read.
    await write(`setTimeout(() => process.exit(0));\n${SHAPE}`);
    await writeFile(
      join(cwd, 'specs', 'b.spec.ts'),
      'await new Promise((done) => setTimeout(done, 2000));\nexport default { ranks: 4, hidden: 64 };\n',
    );
    const { code, stderr } = await run('generate');
    expect(stderr).not.toBe('');
    expect(code).toBe(2);
  });

  it('that prints leaves stdout to the records', async () => {
    await write(`console.log('from the spec');\nawait null;\nconsole.info('more');\n${SHAPE}`);
    const { code, stdout, stderr } = await run('generate', '--json');
    expect(code).toBe(0);
    expect(records(stdout)).toMatchObject([{ event: 'generated', name: 'ep2_h64_bf16' }]);
    expect(stderr).toBe('from the spec\nmore');
  });

  it('is said not to be type-checked', async () => {
    expect((await run('generate', '--help')).stdout).toMatch(/not type-checked/);
  });
});
