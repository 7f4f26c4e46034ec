import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { records, runCli } from './run-cli.js';

let cwd = '';

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'epgen-cli-'));
  await mkdir(join(cwd, 'node_modules'));
  await writeFile(join(cwd, 'package.json'), '{\n    "name": "consumer"\n}\n');
});
afterAll(() => rm(cwd, { recursive: true }));

const run = (...args: string[]) => runCli(args, { cwd });
const COMMANDS = ['build', 'generate', 'check', 'inspect', 'verify', 'bench', 'doctor'];
const SHAPE = ['--ranks', '2', '--hidden', '64'];

describe('epgen --help', () => {
  it('lists every command', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const name of COMMANDS) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
  });

  it('fits 80 columns, for each command too', async () => {
    for (const name of COMMANDS) {
      const { stdout } = await run(name, '--help');
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    }
  });
});

describe('bad input', () => {
  it.each<[string, string[], number, RegExp]>([
    ['no command', [], 2, /Usage: epgen/],
    ['an unknown command', ['compile'], 2, /unknown command 'compile'/],
    ['an unknown option', ['build', '--rank', '2'], 2, /unknown option '--rank'/],
    ['an unknown spec', ['inspect', 'ep9'], 2, /Expected a spec named ep9 but found neither/],
    ['nothing to build', ['build'], 2, /Expected a spec file, --ranks and --hidden, or --model/],
    ['files and flags', ['inspect', 'a.ts', '--ranks', '2'], 2, /both: a\.ts and --ranks/],
    ['an unknown preset', ['inspect', '--model', 'gpt'], 2, /one of deepseek-v3, .*received gpt/],
    ['a word for a number', ['inspect', '--ranks', 'two', '--hidden', '64'], 2, /ranks[\s\S]*two/],
    ['an odd hidden', ['inspect', '--ranks', '2', '--hidden', '7'], 2, /hidden/],
    ['an unknown field', ['inspect', ...SHAPE, '--set', 'rank=1'], 2, /\brank\b/],
    [
      '--set without a value',
      ['inspect', ...SHAPE, '--set', 'topk'],
      2,
      /path=value.*received topk/,
    ],
    ['a later mode', ['inspect', ...SHAPE, '--set', 'ranksPerNode=1'], 2, /at most ranksPerNode/],
    ['no calls at all', ['inspect', ...SHAPE, '--set', 'ht=false'], 2, /ll to be an object.*ht/],
    [
      'a flag of calls that --set takes away',
      ['inspect', ...SHAPE, '--max-tokens', '64', '--set', 'ht=false', '--set', 'll.inFlight=1'],
      2,
      /--set ht=false or --max-tokens 64 but received both: ht\.maxTokensPerRank is a field of ht/,
    ],
    [
      'a field before its section',
      ['inspect', ...SHAPE, '--set', 'll.stats=true', '--set', 'll=false'],
      2,
      /--set ll=false or --set ll\.stats=true but received both/,
    ],
    [
      'a field of calls that --set took away',
      ['inspect', ...SHAPE, '--set', 'ht=false', '--set', 'ht.credit=true', '--ll-dtype', 'bf16'],
      2,
      /--set ht=false or --set ht\.credit=true but received both/,
    ],
    [
      'a flag of low-latency calls that --set takes away',
      ['inspect', '--set', 'll=false', '--ll-max-tokens', '4', ...SHAPE],
      2,
      /--set ll=false or --ll-max-tokens 4 but received both/,
    ],
    [
      'a placement of its own',
      ['inspect', ...SHAPE, '--placement', 'dense'],
      2,
      /one of 'compact', 'slotted' but received 'dense'/,
    ],
    [
      'an old architecture',
      ['build', ...SHAPE, '--arch', 'sm_80'],
      2,
      /sm_90 or a later one.*sm_80/,
    ],
    ['an unknown backend', ['build', ...SHAPE, '--backend', 'hip'], 2, /cpu or cuda.*received hip/],
  ])('%s', async (_what, args, code, message) => {
    const result = await run(...args);
    expect(result.stderr + result.stdout).toMatch(message);
    expect(result.code).toBe(code);
  });

  it('is a JSON record on stdout with --json', async () => {
    const { stdout, code } = await run('inspect', '--ranks', '2', '--hidden', '7', '--json');
    expect(code).toBe(2);
    expect(records(stdout)).toEqual([
      { error: expect.objectContaining({ code: 'EPGEN_SPEC', message: expect.any(String) }) },
    ]);
  });
});

describe('epgen inspect', () => {
  const OPTIONS = [
    ...['--dtype', 'fp8', '--combine-dtype', 'f32', '--topk-idx', 'i32', '--extra-bytes', '16'],
    ...['credit', 'withoutTopk', 'cached', 'worstTokens', 'combineWeights', 'expertMajor'].flatMap(
      (field) => ['--set', `ht.${field}=true`],
    ),
    ...['--set', 'ht.biases=2', '--live-results', '4'],
  ];
  const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

  it.each<[what: string, args: string[], words: string[]]>([
    [
      'plan, window, channels and reuse',
      ['--channels', '3'],
      ['numRanks', 'recv_x', 'first token', 'reuse', ' 0–1 ', ' ht.credit '],
    ],
    [
      'what options cost',
      ['--ranks', '8', '--hidden', '16384', ...OPTIONS],
      ['recv_x_scales', 'recv_extras', 'output_weights', 'dispatch_without_topk'],
    ],
    [
      'why each number is what it is',
      ['--ranks', '8', '--hidden', '16384', ...OPTIONS, '--why'],
      ['= numRanks × maxTokensPerRank', 'bound by MAX_AUTO_PIECE_BYTES', 'window.recv_extras'],
    ],
    [
      'low-latency calls alone',
      ['--set', 'ht=false', '--ll-max-tokens', '4'],
      ['ll_recv_x', 'channels of a low-latency call with 4 tokens a rank', 'dispatch_layout'],
    ],
    [
      'low-latency calls alone, all at their defaults',
      ['--set', 'ht=false', '--set', 'll={}'],
      ['channels of a low-latency call with 128 tokens a rank'],
    ],
    [
      'why each of their numbers is what it is',
      ['--set', 'ht=false', '--ll-max-tokens', '4', '--why'],
      ['window.ll_recv_x', 'arena.ll_tokens', 'arenaBytes must be at least llHandleBytes'],
    ],
  ])('prints %s within 80 columns', async (_what, args, words) => {
    const { stdout, code } = await run('inspect', ...SHAPE, ...args);
    expect(code).toBe(0);
    for (const word of words) expect(stdout).toContain(word);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  it('gives machines the costs of options, and with --why the formulas', async () => {
    const args = ['inspect', ...SHAPE, '--placement', 'slotted', '--json'];
    const [plain] = records((await run(...args)).stdout);
    expect(plain).toMatchObject({
      options: expect.arrayContaining([
        expect.objectContaining({
          field: 'channels.memory.placement',
          isOn: true,
          without: 'compact',
        }),
        expect.objectContaining({ field: 'ht.cached', isOn: false, files: ['dispatch_cached.cu'] }),
      ]),
    });
    expect(plain).not.toHaveProperty('why');
    const [why] = records((await run(...args, '--why')).stdout);
    expect(why).toMatchObject({
      why: expect.arrayContaining([
        expect.objectContaining({
          name: 'numRecvBuffers',
          group: 'exchange',
          value: 3,
          formula: 'liveResults + 1',
          inputs: [{ name: 'liveResults', value: 2 }],
        }),
      ]),
    });
  });

  it('gives machines the same, with the token range of each channel', async () => {
    const { stdout } = await run(
      'inspect',
      ...SHAPE,
      '--channels',
      '3',
      '--max-tokens',
      '10',
      '--json',
    );
    const [record] = records(stdout);
    expect(record).toMatchObject({
      event: 'inspected',
      plan: { numRanks: 2, hidden: 64, numChannels: 3 },
      channels: [
        { channel: 0, begin: 0, end: 4 },
        { channel: 1, begin: 4, end: 8 },
        { channel: 2, begin: 8, end: 10 },
      ],
    });
  });

  it('ends quietly when its reader does', async () => {
    const main = join(import.meta.dirname, '../../dist/cli/main.js');
    const script = `"$1" "$2" inspect --ranks 2 --hidden 64 | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await execa('bash', ['-c', script, 'bash', process.execPath, main], {
      cwd,
    });
    expect(stdout.split('\n').at(-1)).toBe('0');
    expect(stderr).toBe('');
  });
});

describe('epgen generate and check', () => {
  it('finds no drift in what it wrote, and every kind of drift afterwards', async () => {
    expect((await run('generate', ...SHAPE)).code).toBe(0);
    expect(await run('check')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no drift'),
    });
    expect((await run('check', 'ep2_h64_bf16')).stdout).toContain(
      '1 generated folder checked: no drift',
    );

    const folder = join(cwd, 'generated', 'ep2_h64_bf16');
    await writeFile(join(folder, 'dispatch.cu'), 'tampered\n');
    await rm(join(folder, 'combine.cu'));
    await writeFile(join(folder, 'stray.cu'), '');
    const { code, stdout } = await run('check', '--json');
    expect(code).toBe(1);
    const [record] = records(stdout) as unknown as [{ problems: { path: string; kind: string }[] }];
    const kinds = record.problems.map(({ path, kind }) => `${path.split('/').at(-1)} ${kind}`);
    expect(kinds.sort()).toEqual(['combine.cu missing', 'dispatch.cu changed', 'stray.cu stray']);
    await rm(join(cwd, 'generated'), { recursive: true });
  });
});

describe('epgen build', () => {
  it('builds, says what it added to package.json, and ends with the table', async () => {
    const { code, stdout } = await run('build', ...SHAPE);
    expect(code).toBe(0);
    expect(stdout).toContain('package.json: added "#epgen/*" to imports');
    expect(stdout).toMatch(/^cpu +dispatch +\d/m);
    const text = await readFile(join(cwd, 'package.json'), 'utf8');
    expect(text).toBe(`{
    "name": "consumer",
    "imports": {
        "#epgen/*": {
            "types": "./generated/*/index.d.ts",
            "default": "./generated/*/index.js"
        }
    }
}
`);
  });

  it('finds the folder again by its name and has nothing left to do', async () => {
    const { code, stdout } = await run('build', 'ep2_h64_bf16', '--json');
    expect(code).toBe(0);
    const built = records(stdout).find((record) => record.event === 'built');
    expect(built).toMatchObject({ name: 'ep2_h64_bf16', upToDate: true });
  });

  it('refuses a folder that holds another spec, unless told to', async () => {
    const other = ['generate', '--ranks', '4', '--hidden', '64', '--out', 'generated/ep2_h64_bf16'];
    const { code, stderr } = await run(...other);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ep2_h64_bf16/);
    expect((await run(...other, '--force')).code).toBe(0);
  });
});

describe('epgen bench', () => {
  /** A built folder without kernels: nothing gets as far as loading them. */
  async function fakeBuilt(name: string): Promise<void> {
    const ll = ['--set', 'll.maxTokensPerRank=8'];
    expect((await run('generate', ...SHAPE, ...ll, '--set', `name=${name}`)).code).toBe(0);
    const folder = join(cwd, 'generated', name);
    const text = await readFile(join(folder, 'index.ts'), 'utf8');
    const constants = text.match(/^export const \w+ = \{$[\s\S]*?^\} as const;$/gm) ?? [];
    const index = constants.map((one) => one.replace(/ as const;$/, ';')).join('\n');
    await writeFile(join(folder, 'index.js'), index);
    await mkdir(join(folder, 'addon'));
    await writeFile(join(folder, 'addon', 'cuda.node'), '');
  }

  it('takes no wrong --tokens, --windows or --rounds for the default', async () => {
    await fakeBuilt('wrong');
    for (const [args, message] of [
      [['--tokens', '0'], /--tokens to be a whole number of at least 1 but received 0/],
      [['--tokens', 'abc'], /--tokens to be a whole number of at least 1 but received NaN/],
      [['--windows', '0'], /--windows to be a whole number of at least [13] but received 0/],
      [['--rounds', '0'], /--rounds to be a whole number of at least 1 but received 0/],
    ] as const) {
      for (const calls of [[], ['--low-latency']]) {
        const { code, stderr } = await run('bench', 'wrong', ...calls, ...args);
        expect(stderr).toMatch(message);
        expect(code).toBe(2);
      }
    }
  });

  it('tells the defaults of both kinds of calls', async () => {
    const { stdout } = await run('bench', '--help');
    const help = stdout.replace(/\s+/g, ' ');
    for (const line of [
      'tokens a rank (default: ht.maxTokensPerRank; low latency: 1, 16, 64, 128, 256 in turn)',
      'fresh routings (default: 5, at least 3; low latency: 3, at least 1)',
      'timed calls of each operation a window (default: 20; low latency: 100)',
    ]) {
      expect(help).toContain(line);
    }
  });
});

describe('epgen doctor', () => {
  it('ends with 3 and the line to paste where tools are missing', async () => {
    const bin = join(cwd, 'bin');
    await mkdir(bin);
    await symlink(process.execPath, join(bin, 'node'));
    const { code, stdout } = await runCli(['doctor'], { cwd, env: { PATH: bin } });
    expect(code).toBe(3);
    expect(stdout).toMatch(/^sudo apt-get update && sudo apt-get install .*g\+\+ cmake/m);
    const fixed = await runCli(['doctor', '--fix'], { cwd, env: { PATH: bin } });
    expect(fixed.code).toBe(3);
  });

  it('reports what it found to machines', async () => {
    const { code, stdout } = await run('doctor', '--json');
    expect(code).toBe(0);
    expect(records(stdout)).toMatchObject([{ event: 'doctor', ok: true }]);
  });

  it('warns of what the environment does to kernels, and says what to do', async () => {
    const env = { CUDA_DEVICE_MAX_CONNECTIONS: '1', CUDA_LAUNCH_BLOCKING: '1' };
    const { code, stdout } = await runCli(['doctor'], { cwd, env });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^warning CUDA_DEVICE_MAX_CONNECTIONS is 1: .*\nUnset it where epgen runs, or set it to 8/m,
    );
    expect(stdout).toMatch(/^warning CUDA_LAUNCH_BLOCKING is 1: .*\nUnset it/m);
    const { stdout: json } = await runCli(['doctor', '--json'], { cwd, env });
    const variables = [
      { variable: 'CUDA_DEVICE_MAX_CONNECTIONS', value: '1' },
      { variable: 'CUDA_LAUNCH_BLOCKING', value: '1' },
    ];
    expect(records(json)).toMatchObject([{ event: 'doctor', ok: true, warnings: variables }]);
  });
});
