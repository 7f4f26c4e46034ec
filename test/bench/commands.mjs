// Times what people wait for: `npm run bench:commands`. Prints, asserts nothing.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const root = join(import.meta.dirname, '../..');
const main = join(root, 'dist/cli/main.js');
const scratch = mkdtempSync(join(os.tmpdir(), 'epgen-bench-'));
const env = { ...process.env, CCACHE_DISABLE: '1', EPGEN_CACHE_DIR: join(scratch, 'cache') };
// Node 20 reads this file at every start.
delete env.NODE_EXTRA_CA_CERTS;

/** Milliseconds of one run; throws with its output when it fails. */
function run(args, cwd = root) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${args.join(' ')} exited ${status}\n${stdout}${stderr}`);
  return { ms: performance.now() - start, stdout };
}

function print(what, times) {
  const sorted = [...times].sort((a, b) => a - b);
  const shown = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((ms) =>
    (ms / 1000).toFixed(2),
  );
  console.log(
    `${what.padEnd(34)} ${shown.map((s) => `${s.padStart(7)} s`).join(' ')}   ${times.length} runs`,
  );
}

console.log(
  `${os.cpus().length} × ${os.cpus()[0].model.trim()}, Node ${process.version}, load ${os.loadavg()[0].toFixed(1)}`,
);
console.log(`${''.padEnd(34)}     min      median     max`);
try {
  const repeat = (n, args) => Array.from({ length: n }, () => run(args).ms);
  print('--help', repeat(15, [main, '--help']));
  const out = join(scratch, 'ep8_h7168_bf16');
  cpSync(join(root, 'generated/ep8_h7168_bf16'), out, {
    recursive: true,
    filter: (path) => !path.endsWith('addon'),
  });
  const build = [
    main,
    'build',
    '--ranks',
    '8',
    '--hidden',
    '7168',
    '--backend',
    'cpu',
    '--out',
    out,
    '--no-imports',
  ];
  print('cold CPU build of ep8_h7168_bf16', repeat(1, build));
  print('build with nothing to do', repeat(5, build));
  const demo = [0, 1, 2].map(() => run([join(root, 'dist/cli/demo.js')]));
  print(
    'demo',
    demo.map(({ ms }) => ms),
  );
  console.log(
    demo
      .at(-1)
      .stdout.split('\n')
      .find((line) => line.includes('memory')),
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
