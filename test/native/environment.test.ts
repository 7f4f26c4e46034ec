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

const runAsProcess = (end: string, user: { readonly uid?: number } = {}) =>
  spawnSync(process.execPath, ['-e', program(end), path], {
    encoding: 'utf8',
    timeout: 30_000,
    ...user,
  });

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

/** Limits of this process from here on: address space beyond what it has, and no thread beyond those it has. */
const limits = `
  const { execFileSync } = require('node:child_process');
  const { readFileSync } = require('node:fs');
  const limit = (...limits) => execFileSync('prlimit', ['--pid', process.pid, ...limits]);
  const limitMemory = (numBytes) => {
    const { size } = /VmSize:\\s+(?<size>\\d+)/.exec(readFileSync('/proc/self/status', 'utf8')).groups;
    limit('--as=' + (size * 1024 + numBytes));
  };
  const limitThreads = () => limit('--nproc=1');
`;

// Root has no limit of threads; a user who runs nothing else is as good as any.
const asUser = process.getuid?.() === 0 ? { uid: 54321 } : {};

test.each([
  ['memory', 'limitMemory(1 << 20)', /reserve \d+ bytes of address space for the window and \d+/],
  ['a thread', 'limitThreads()', /start the emulator of 2 ranks, one thread: Resource temporarily/],
])('shortage of %s at openGroup has a code and says what was wanted', (_name, shorten, wanted) => {
  const { stdout } = runAsProcess(
    `${limits}
    ${shorten};
    try {
      module_.exports.openGroup({ seed: 1n, deadlineMs: 60000, firstDeadlineMs: 60000 });
    } catch ({ code, message }) {
      console.log(code, message);
    }
    group.dispose().then(() => console.log('disposed'));`,
    asUser,
  );
  expect(stdout).toMatch(/^EPGEN_FAULT Could not .*\ndisposed\n$/);
  expect(stdout).toMatch(wanted);
});

test('dispose needs no thread', () => {
  const { stdout } = runAsProcess(
    `${limits}
    dispatch(0, true).catch(({ code }) => console.log(code));
    limitThreads();
    group.dispose().then(() => console.log('disposed'), ({ message }) => console.log(message));`,
    asUser,
  );
  expect(stdout).toBe('EPGEN_DISPOSED\ndisposed\n');
});
