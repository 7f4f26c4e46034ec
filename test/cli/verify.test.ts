// The command as a person runs it: from a copy of the package, whose templates a test may break.
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Result } from '../../cli/verify/verify-spec.js';
import { records } from './run-cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SHAPE = '--ranks 2 --hidden 8 --experts 2 --topk 1 --max-tokens 40 --channels 2'.split(' ');
const NAME = 'ep2_h8_bf16_e2_k1_m40_c2';

let scratch = '';
let cwd = '';
let main = '';

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'epgen-verify-'));
  const copy = join(scratch, 'epgen');
  for (const part of ['package.json', 'templates', 'native', 'dist']) {
    await cp(join(ROOT, part), join(copy, part), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  main = join(copy, 'dist', 'cli', 'main.js');
  cwd = join(scratch, 'project');
  await mkdir(cwd);
});
afterAll(() => rm(scratch, { recursive: true }));

function start(args: readonly string[], env: Record<string, string> = {}) {
  return execa(process.execPath, [main, 'verify', ...args], {
    cwd,
    env: { NODE_EXTRA_CA_CERTS: undefined, EPGEN_CACHE_DIR: join(scratch, 'cache'), ...env },
    reject: false,
  });
}

async function verifyJson(...args: string[]) {
  const { stdout, exitCode } = await start([...args, '--json']);
  const [record, ...others] = records(stdout) as unknown as { ok: boolean; specs: Result[] }[];
  expect(others).toEqual([]);
  return { exitCode, record: record! };
}

const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

describe('bad input', () => {
  it.each<[string, string[], number, RegExp]>([
    [
      'a slip in a policy',
      ['--policy', 'priorty'],
      2,
      /received priorty\n.*Did you mean priority\?/,
    ],
    ['a policy of no kind', ['--policy', 'x'], 2, /one of uniform, priority, .* received x$/m],
    ['a budget without a unit', ['--budget', '5'], 2, /such as 60s, 5m or 500ms but received 5$/m],
    ['a budget of nothing', ['--budget', '0s'], 2, /received 0s/],
    ['a word for seeds', ['--seeds', 'many'], 2, /--seeds .* at least 1 but received many/],
    ['no schedule', ['--seeds', '0'], 2, /--seeds .* at least 1 but received 0/],
    ['no call', ['--calls', '0'], 2, /--calls .* at least 1 but received 0/],
    ['a spec with errors', ['--hidden', '7'], 2, /hidden/],
    ['an unknown spec', ['ep9'], 2, /both: ep9 and --ranks/],
  ])('%s', async (_what, args, code, message) => {
    const { exitCode, stderr } = await start(
      [...SHAPE, ...args].slice(args[0] === '--hidden' ? 4 : 0),
    );
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(code);
  });

  it('is explained by a help of 80 columns', async () => {
    const { stdout, exitCode } = await start(['--help']);
    expect(stdout).toContain('--budget <time>');
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect(exitCode).toBe(0);
  });

  it('no compiler', async () => {
    const { exitCode, stderr } = await start(SHAPE, { PATH: scratch, CXX: '' });
    expect(stderr).toMatch(/Missing for the CPU backend/);
    expect(exitCode).toBe(3);
  });
});

describe('correct kernels', () => {
  // Compiles the emulator, which takes longer than a test may.
  beforeAll(async () => {
    const { stderr, exitCode } = await start([...SHAPE, '--seed', '1']);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });

  it('runs many schedules and says so, within 80 columns', async () => {
    const { exitCode, stdout } = await start([...SHAPE, '--seeds', '20']);
    expect(stdout).toMatch(
      new RegExp(`^${NAME}: 20 schedules, nothing found\n  20 distinct, `, 'm'),
    );
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect(exitCode).toBe(0);
  });

  it('tells machines everything', async () => {
    const { exitCode, record } = await verifyJson(
      ...SHAPE,
      '--seeds',
      '10',
      '--policy',
      'priority',
    );
    expect(record).toMatchObject({
      event: 'verified',
      ok: true,
      specs: [
        {
          ...{ name: NAME, source: 'command line', policy: 'priority', calls: 6 },
          ...{ seeds: [1, 11], schedules: 10, distinct: 10, failed: 0, interrupted: false },
          ...{ steps: expect.any(Number), seconds: expect.any(Number), findings: [] },
        },
      ],
    });
    expect(exitCode).toBe(0);
  });

  it('stops when the time is up', async () => {
    const { record } = await verifyJson(...SHAPE, '--budget', '300ms');
    const [spec] = record.specs;
    expect(spec?.seconds).toBeLessThan(5);
    expect(spec?.schedules).toBeGreaterThan(0);
  });

  it('tells on Ctrl-C what was seen so far', async () => {
    const child = start([...SHAPE, '--budget', '5m', '--json']);
    setTimeout(() => child.kill('SIGINT'), 3000);
    const { stdout, exitCode } = await child;
    const [record] = records(stdout) as unknown as { specs: Result[] }[];
    expect(record?.specs).toMatchObject([{ name: NAME, interrupted: true }]);
    expect(exitCode).toBe(130);
  });
});

describe('a kernel that announces rows before they are written', () => {
  beforeAll(async () => {
    const template = join(scratch, 'epgen', 'templates', 'partials', 'dispatch', 'store.hbs');
    const text = await readFile(template, 'utf8');
    expect(text).toContain('bulk_wait_group<0>();');
    await writeFile(template, text.replace('bulk_wait_group<0>();', 'bulk_wait_group_read<0>();'));
  });

  it('is found, and the command that it prints shows it again', async () => {
    const { exitCode, record } = await verifyJson(...SHAPE, '--seeds', '40', '--out', 'found');
    expect(exitCode).toBe(1);
    expect(record.ok).toBe(false);
    const findings = record.specs[0]?.findings ?? [];
    const race = findings.find(({ detector }) => detector === 'race');
    expect(race).toMatchObject({
      message: expect.stringContaining('bulk_store'),
      places: expect.arrayContaining([expect.objectContaining({ file: 'dispatch.cu' })]),
      remedy: expect.stringContaining('bulk_wait_group_read waits until the source was read only'),
    });
    const seed = race?.seed;
    expect(race?.replay).toBe(
      `epgen verify ${SHAPE.join(' ')} --seed ${seed} --policy ${race?.policy} --calls 6`,
    );
    const drawn = findings.flatMap(({ written }) => written);
    expect(drawn).toContain(`found/${NAME}-${seed}.svg`);
    for (const path of drawn) expect((await readFile(join(cwd, path))).length).toBeGreaterThan(0);

    const again = await verifyJson(...(race?.replay.split(' ').slice(2) ?? []));
    expect(again.exitCode).toBe(1);
    expect(again.record.specs[0]?.schedules).toBe(1);
    expect(again.record.specs[0]?.findings.map(({ message }) => message)).toContain(race?.message);
  });

  it('is told to people within 80 columns, but for what is to be copied', async () => {
    const { exitCode, stdout } = await start([...SHAPE, '--seeds', '40']);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^race with seed \d+, policy [a-z-]+$/m);
    expect(stdout).toMatch(/^ {2}replay: epgen verify --ranks 2 /m);
    const lines = stdout.split('\n').filter((line) => !/^ {2}(?:replay:|wrote) /.test(line));
    expect(widest(lines.join('\n'))).toBeLessThanOrEqual(80);
  });
});
