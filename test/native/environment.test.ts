import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { beforeAll, expect, test } from 'vitest';
import { rawAddonPath } from './raw-exchange.js';

let path: string;
beforeAll(async () => {
  path = await rawAddonPath();
});

/** Plain JavaScript: it runs in processes and workers without a TypeScript loader. */
const program = (end: string) => `
  const { workerData, parentPort } = require('node:worker_threads');
  const module_ = { exports: {} };
  process.dlopen(module_, workerData ?? process.argv[1]);
  const group = module_.exports.openGroup({ seed: 1n, deadlineMs: 60000, firstDeadlineMs: 60000 });
  const handles = [0, 1].map((rank) => group.alloc(rank, 65536));
  const dispatch = (rank, wait) => group.dispatch(rank, {
    numTokens: 0, x: 0n, topkIdx: 0n, topkWeights: 0n, handle: handles[rank], buffer: 0, grid: 1, wait,
  });
  ${end}
`;

const both = 'Promise.all([dispatch(0, true), dispatch(1, true)])';

/** Rank 1 never comes, so the first call waits and the others queue behind it. */
const alone = `
  for (let idx = 0; idx < 50; ++idx) { dispatch(0, false); group.read(0, handles[0], 4096); }
  dispatch(0, true);
`;

function runInWorker(end: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(program(end), { eval: true, workerData: path });
    worker.on('message', () => void worker.terminate());
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
}

const runAsProcess = (end: string) =>
  spawnSync(process.execPath, ['-e', program(end), path], { encoding: 'utf8', timeout: 30_000 });

test('several workers use the addon at the same time', async () => {
  const end = `${both}.then(() => group.dispose());`;
  expect(await Promise.all([1, 2, 3].map(() => runInWorker(end)))).toEqual([0, 0, 0]);
});

test('a worker can be terminated with work in flight', async () => {
  const end = `${alone} parentPort.postMessage('busy');`;
  expect(await Promise.all([1, 2, 3].map(() => runInWorker(end)))).toEqual([1, 1, 1]);
});

test('a process waits for what is pending and ends without dispose', () => {
  const { status, stdout } = runAsProcess(`${both}.then(() => console.log('counted'));`);
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'counted\n' });
});

test('a process can exit with work in flight', () => {
  expect(runAsProcess(`${alone} setTimeout(() => process.exit(3), 20);`).status).toBe(3);
});
