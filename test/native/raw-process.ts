import { spawnSync } from 'node:child_process';

/** Plain JavaScript: it runs in processes and workers without a TypeScript loader. */
export const program = (end: string) => `
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

/** Runs the program in a process of its own on the addon at `path`. */
export const runAsProcess = (path: string, end: string, user: { readonly uid?: number } = {}) =>
  spawnSync(process.execPath, ['-e', program(end), path], {
    encoding: 'utf8',
    timeout: 30_000,
    ...user,
  });
