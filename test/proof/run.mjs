// The long proof: many distinct schedules of a few specs, with both detectors on.
//   npm run proof [-- --only TEXT] [--share N] [--out FILE]
// Prints a line for each spec and writes what it saw, with commit and machine. `--share 0.01` runs a hundredth of it.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    share: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});

const parts = [
  {
    // Rings that go round, rows of several pieces, more channels than blocks now and then.
    what: '2 ranks, small',
    schedules: 100_000,
    flags:
      '--ranks 2 --hidden 64 --experts 4 --topk 2 --max-tokens 8 --channels 1 --set channels.memory.stages=4 --set channels.memory.pieceBytes=64',
  },
  {
    what: '3 ranks, small',
    schedules: 10_000,
    flags:
      '--ranks 3 --hidden 40 --experts 9 --topk 3 --max-tokens 8 --channels 2 --set channels.memory.pieceBytes=48',
  },
  {
    what: '8 ranks, small',
    schedules: 1000,
    flags:
      '--ranks 8 --hidden 64 --experts 16 --topk 4 --max-tokens 8 --channels 2 --set channels.memory.pieceBytes=64',
  },
  {
    what: '8 ranks × 64 tokens × 7168',
    schedules: 20,
    flags: '--ranks 8 --hidden 7168 --max-tokens 64 --tokens 64',
  },
  {
    what: 'low latency, 2 ranks',
    schedules: 20_000,
    flags:
      '--ranks 2 --hidden 64 --experts 4 --topk 2 --set ht=false --ll-max-tokens 6 --set channels.ll=2',
  },
  {
    what: 'low latency, 3 ranks, fp8 both ways, credit',
    schedules: 5000,
    flags:
      '--ranks 3 --hidden 128 --experts 9 --topk 3 --set ht=false --ll-max-tokens 6 --ll-dtype fp8_e4m3 --set ll.combineDtype=fp8_e4m3 --set ll.credit=true --set ll.inFlight=1 --set channels.ll=3',
  },
  {
    what: 'low latency, 8 ranks',
    schedules: 1000,
    flags:
      '--ranks 8 --hidden 64 --experts 16 --topk 4 --set ht=false --ll-max-tokens 4 --set channels.ll=2',
  },
  {
    // More tokens than a block has threads.
    what: 'low latency, 700 tokens',
    schedules: 1000,
    flags:
      '--ranks 2 --hidden 8 --experts 4 --topk 2 --set ht=false --ll-max-tokens 700 --tokens 700 --set channels.ll=3',
  },
  {
    what: 'low latency beside the others, 2 ranks',
    schedules: 5000,
    flags:
      '--ranks 2 --hidden 64 --experts 4 --topk 2 --max-tokens 8 --channels 1 --ll-max-tokens 6 --set channels.ll=2',
  },
];

const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();

function prove({ what, schedules, flags }) {
  const seeds = Math.max(1, Math.round(schedules * Number(values.share)));
  const args = ['verify', ...flags.split(' '), '--calls', '4', '--seeds', `${seeds}`, '--json'];
  const { stdout, stderr } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const record = stdout.split('\n').find((line) => line.includes('"event":"verified"'));
  if (record === undefined) throw new Error(`${what}: no result\n${stdout}${stderr}`);
  const [result] = JSON.parse(record).specs;
  const seconds = result.seconds.toFixed(1);
  const mebibytes = Math.round(result.maxRssBytes / 2 ** 20);
  console.log(
    `${what.padEnd(44)} ${`${result.distinct}`.padStart(7)} distinct of ${result.schedules}, ` +
      `${result.findings.length} findings, ${seconds} s, ${mebibytes} MiB in ${result.processes} processes`,
  );
  const isProven = result.findings.length === 0 && result.distinct >= seeds;
  return { what, command: `epgen ${args.join(' ')}`, isProven, ...result };
}

const results = parts.filter(({ what }) => what.includes(values.only)).map(prove);
if (values.out !== undefined) {
  const machine = { cpu: os.cpus()[0].model.trim(), numCores: os.cpus().length };
  const date = new Date().toISOString();
  const dirty = git('status', '--porcelain').split('\n').filter(Boolean);
  const proof = { date, commit: git('rev-parse', 'HEAD'), dirty, machine, results };
  writeFileSync(values.out, `${JSON.stringify(proof, null, 2)}\n`);
}
if (results.length === 0 || results.some(({ isProven }) => !isProven)) process.exitCode = 1;
