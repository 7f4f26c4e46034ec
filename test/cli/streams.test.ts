import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAIN, runCli } from './run-cli.js';

let cwd = '';

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'epgen-streams-'));
  await mkdir(join(cwd, 'node_modules'));
});
afterAll(() => rm(cwd, { recursive: true }));

const SHAPE = '--ranks 2 --hidden 64';

/** Runs `epgen <command>` in a shell; `epgen` stands for the program, PIPESTATUS for its exit code. */
async function shell(script: string): Promise<{ stdout: string; stderr: string }> {
  const epgen = `epgen() { "${process.execPath}" "${MAIN}" "$@"; }`;
  const env = { NODE_EXTRA_CA_CERTS: undefined };
  return execa('bash', ['-c', `${epgen}\n${script}`], { cwd, env });
}

describe('a reader that closes early', () => {
  it('does not stop the work', async () => {
    const { stdout, stderr } = await shell(
      `epgen build ${SHAPE} | true; echo "\${PIPESTATUS[0]}"; epgen build ${SHAPE} --json | grep '"built"'`,
    );
    const [code, last = ''] = stdout.split('\n');
    expect(code).toBe('0');
    expect(JSON.parse(last)).toMatchObject({ event: 'built', upToDate: true });
    expect(stderr).toBe('');
  });

  it('does not turn a failure into a success', async () => {
    const folder = 'generated/ep2_h64_bf16';
    const { stdout, stderr } = await shell(
      `echo x >> ${folder}/launch.cpp; epgen check | true; echo "\${PIPESTATUS[0]}"; epgen generate ${SHAPE} >&2`,
    );
    expect(stdout).toBe('1');
    expect(stderr).toMatch(/1 files written/);
  });
});

describe('output that cannot be written', () => {
  it('is a run-time failure, in one line', async () => {
    const { stdout, stderr } = await shell('epgen check > /dev/full; echo "$?"');
    expect(stdout).toBe('5');
    expect(stderr).toMatch(/^error Cannot write to stdout: .*ENOSPC.*$/);
  });
});

describe('epgen check with nothing to check', () => {
  it('is bad input', async () => {
    const { code, stderr } = await runCli(['check'], { cwd: join(cwd, 'node_modules') });
    expect(code).toBe(2);
    expect(stderr).toMatch(/Expected generated folders or specs to check but .*node_modules has/);
  });
});

describe('an interrupted build', () => {
  it('leaves no lock behind', async () => {
    const cache = join(cwd, 'cache');
    const build = execa(
      process.execPath,
      [MAIN, 'build', ...SHAPE.split(' '), '--json', '--set', 'topk=4'],
      {
        cwd,
        env: { NODE_EXTRA_CA_CERTS: undefined, EPGEN_CACHE_DIR: cache },
        reject: false,
      },
    );
    for await (const line of build) {
      if (line.includes('"configure"')) build.kill('SIGINT');
    }
    expect((await build).exitCode).toBe(130);
    const left = await readdir(cache, { recursive: true });
    expect(left.filter((path) => path.endsWith('.lock'))).toEqual([]);
  });
});
