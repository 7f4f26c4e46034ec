import { Worker } from 'node:worker_threads';
import { beforeAll, expect, test } from 'vitest';
import { rawAddonPath } from './raw-exchange.js';
import { program, runAsProcess } from './raw-process.js';

let path: string;
beforeAll(async () => {
  path = await rawAddonPath();
});

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

test('several workers use the addon at the same time', async () => {
  const end = `${both}.then(() => group.dispose());`;
  expect(await Promise.all([1, 2, 3].map(() => runInWorker(end)))).toEqual([0, 0, 0]);
});

test('a worker can be terminated with work in flight', async () => {
  const end = `${alone} parentPort.postMessage('busy');`;
  expect(await Promise.all([1, 2, 3].map(() => runInWorker(end)))).toEqual([1, 1, 1]);
});

test('a process waits for what is pending and ends without dispose', () => {
  const { status, stdout } = runAsProcess(path, `${both}.then(() => console.log('counted'));`);
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'counted\n' });
});

test('a process can exit with work in flight', () => {
  expect(runAsProcess(path, `${alone} setTimeout(() => process.exit(3), 20);`).status).toBe(3);
});
