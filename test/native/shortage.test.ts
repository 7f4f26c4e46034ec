import { beforeAll, expect, test } from 'vitest';
import { rawAddonPath } from './raw-exchange.js';
import { runAsProcess } from './raw-process.js';

let path: string;
beforeAll(async () => {
  path = await rawAddonPath();
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
    path,
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
    path,
    `${limits}
    dispatch(0, true).catch(({ code }) => console.log(code));
    limitThreads();
    group.dispose().then(() => console.log('disposed'), ({ message }) => console.log(message));`,
    asUser,
  );
  expect(stdout).toBe('EPGEN_DISPOSED\ndisposed\n');
});
