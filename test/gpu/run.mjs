// Packs the tests for this machine's GPUs and runs them: `npm run test:gpu -- [options of run-tests]`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'dist/gpu-local');

if (!['/dev/nvidiactl', '/dev/dxg'].some((path) => existsSync(path))) {
  console.log('No test ran on a GPU: this machine has none that its driver shows');
  console.log('0 passed, 1 failed');
  process.exit(1);
}
run(process.execPath, [join(import.meta.dirname, 'pack.mjs'), '--no-node', '--out', folder]);
const results = ['--out', join(root, 'test/gpu/results')];
run(join(folder, 'run-tests'), [...results, ...process.argv.slice(2)]);

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
