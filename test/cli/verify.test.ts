// The command as a person runs it: from a copy of the package, whose templates a test may break.
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Explored } from '../../cli/verify/explore-spec.js';
import type { Result } from '../../cli/verify/verify-spec.js';
import { records } from './run-cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SHAPE = '--ranks 2 --hidden 8 --experts 2 --topk 1 --max-tokens 40 --channels 2'.split(' ');
const NAME = 'ep2_h8_bf16_e2_k1_m40_c2';
/** Every order of its words is equivalent to one. */
const TINY = '--ranks 2 --hidden 8 --experts 2 --topk 1 --max-tokens 4 --channels 1'.split(' ');
const TINY_NAME = 'ep2_h8_bf16_e2_k1_m4_c1';

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

async function verifyJson<R = Result>(...args: string[]) {
  const { stdout, exitCode } = await start([...args, '--json']);
  const [record, ...others] = records(stdout) as unknown as { ok: boolean; specs: R[] }[];
  expect(others).toEqual([]);
  return { exitCode, record: record! };
}

/** Changes a template of the copy, until it is mended. */
async function plant(name: string, from: string, to: string) {
  const template = join(scratch, 'epgen', 'templates', 'partials', name);
  const text = await readFile(template, 'utf8');
  expect(text).toContain(from);
  await writeFile(template, text.replaceAll(from, to));
  return { mend: () => writeFile(template, text) };
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
    ['no token', ['--tokens', '0'], 2, /--tokens .* at least 1 but received 0/],
    ['a spec with errors', ['--hidden', '7'], 2, /hidden/],
    ['an unknown spec', ['ep9'], 2, /both: ep9 and --ranks/],
    [
      'a policy for all orders',
      ['--explore', '--policy', 'uniform'],
      2,
      /no --policy .* uniform$/m,
    ],
    [
      'too many channels for all orders',
      ['--explore', '--channels', '5'],
      2,
      /at most 8 channels of all ranks for --explore but .* has 10\n.*--ranks 2 --channels 2/,
    ],
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

  it('ends with a line of each spec and one of all where there are several', async () => {
    await mkdir(join(cwd, 'specs'));
    await mkdir(join(cwd, 'node_modules'));
    await symlink(join(scratch, 'epgen'), join(cwd, 'node_modules', 'epgen'));
    for (const channels of [1, 2]) {
      await writeFile(
        join(cwd, 'specs', `tiny_${channels}.spec.ts`),
        `import { defineSpec } from 'epgen';
export default defineSpec({
  name: 'tiny_${channels}', ranks: 2, hidden: 8, experts: 2, topk: 1,
  ht: { maxTokensPerRank: 4 }, channels: { memory: { count: ${channels} } },
});`,
      );
    }
    const { exitCode, stdout } = await start(['--seeds', '5']);
    const table = stdout.slice(stdout.indexOf('\nspec '));
    expect(table).toMatch(/^tiny_1 +5 +0 +\d+\.\d$\n^tiny_2 +5 +0 +\d+\.\d$\n^total +10 +0 /m);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect(exitCode).toBe(0);
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

describe('every order of the smallest kernels', () => {
  it('is tried, and said to be', async () => {
    const { exitCode, stdout } = await start([...TINY, '--explore']);
    expect(stdout).toContain(
      `${TINY_NAME}: nothing found, in every order of 100 sequences\n  2 calls each, 100 orders of `,
    );
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect(exitCode).toBe(0);
  });

  it('is no claim where the time was up', async () => {
    const { exitCode, record } = await verifyJson<Explored>(
      ...SHAPE,
      ...['--explore', '--seed', '1', '--calls', '6', '--budget', '500ms'],
    );
    expect(record.specs).toMatchObject([
      { name: NAME, finished: false, finishedSequences: 0, interrupted: false, findings: [] },
    ]);
    expect(exitCode).toBe(0);
  });

  it('has one that hangs where ready words have no parity, and is shown again', async () => {
    const { mend } = await plant('combine/pull.hbs', '(call.epoch & 1) * kNumRanks', '0');
    const args = [...TINY, '--explore', '--calls', '4', '--out', 'explored'];
    const { exitCode, record } = await verifyJson<Explored>(...args);
    expect(exitCode).toBe(1);
    const [finding] = record.specs[0]?.findings ?? [];
    expect(finding).toMatchObject({
      ...{ detector: 'timeout', policy: 'explore', execution: expect.any(Number) },
      message: expect.stringContaining('combine ready of peer'),
    });
    const base = `explored/${TINY_NAME}-${finding?.seed}`;
    expect(finding?.written).toEqual([`${base}.svg`, `${base}.trace.json`]);
    expect(await readFile(join(cwd, `${base}.svg`), 'utf8')).toContain('combine');

    const again = await verifyJson<Explored>(...(finding?.replay.split(' ').slice(2) ?? []));
    expect(again.exitCode).toBe(1);
    expect(again.record.specs[0]?.findings[0]).toMatchObject({
      ...{ message: finding?.message, execution: finding?.execution },
    });
    await mend();
  });
});

describe('low-latency calls alone', () => {
  const shape = '--ranks 2 --hidden 8 --experts 2 --topk 1 --ll-max-tokens 4'.split(' ');
  const alone = [...shape, '--set', 'ht=false', '--set', 'channels.ll=1'];

  it('are run in many schedules', async () => {
    const { exitCode, record } = await verifyJson(...alone, '--seeds', '60');
    expect(record.specs).toMatchObject([{ schedules: 60, findings: [] }]);
    expect(exitCode).toBe(0);
  });

  it('are tried in every order', async () => {
    const { exitCode, record } = await verifyJson<Explored>(...alone, '--explore', '--seeds', '6');
    expect(record.specs).toMatchObject([{ finished: true, finishedSequences: 6, findings: [] }]);
    expect(exitCode).toBe(0);
  });

  it('that tell peers of outputs too early are found, and shown again', async () => {
    const { mend } = await plant('ll-combine/ready.hbs', 'wait_acquire_sys(', 'wait_relaxed_sys(');
    const { exitCode, record } = await verifyJson(...alone, '--seeds', '60');
    expect(exitCode).toBe(1);
    const [finding] = record.specs[0]?.findings ?? [];
    expect(finding?.places).toContainEqual(expect.objectContaining({ file: 'll_combine.cu' }));
    const again = await verifyJson(...(finding?.replay.split(' ').slice(2) ?? []));
    expect(again.record.specs[0]?.findings.map(({ message }) => message)).toContain(
      finding?.message,
    );
    await mend();
  });
});

describe('a kernel that sums a row that nobody wrote', () => {
  it('is found with the seed alone as among others', async () => {
    const { mend } = await plant(
      '../combine.cu.hbs',
      'return ld(slots + (uint64_t{token_idx} * kNumRanks + lane_idx()));',
      `const int32_t slot = ld(slots + (uint64_t{token_idx} * kNumRanks + lane_idx()));
    return slot < 0 ? 7 : slot;`,
    );
    const { record } = await verifyJson(...SHAPE, '--seeds', '20');
    const found = record.specs[0]?.findings.find(({ detector }) => detector === 'data');
    const alone = await verifyJson(...(found?.replay.split(' ').slice(2) ?? []));
    expect(alone.exitCode).toBe(1);
    expect(alone.record.specs[0]?.findings.map(({ message }) => message)).toContain(found?.message);
    await mend();
  });
});

describe('a kernel that announces rows before they are written', () => {
  beforeAll(() =>
    plant('dispatch/store.hbs', 'bulk_wait_group<0>();', 'bulk_wait_group_read<0>();'),
  );

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
