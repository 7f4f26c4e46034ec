// One test file in a process of its own: a crash costs this file's results and no others.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exclusionOf } from './excluded.js';
import { setHost } from './host.js';
import type { FileJob, FileMessage } from './messages.js';
import { declaredBy, fullName, runSuite, type TestResult, testsOf, textOf } from './tree.js';

const { file, host } = JSON.parse(process.argv[2] ?? '{}') as FileJob;
const send = (message: FileMessage) =>
  new Promise<void>((resolve) => process.send?.(message, undefined, {}, () => resolve()));
const ended = (result: TestResult) => void send({ type: 'ended', result });

process.on('unhandledRejection', (error) => {
  ended({
    name: 'unhandled rejection',
    outcome: 'failed',
    ms: 0,
    onGpu: false,
    error: textOf(error),
  });
});

setHost(host);
const path = join(host.dir, 'test', `${file}.js`);
const reason = exclusionOf(file, host.backend);
const suite = await declaredBy(() => import(pathToFileURL(path).href)).catch((error: unknown) => {
  // What is excluded may need files that are not packed, even to say which tests it has.
  if (reason === undefined) throw error;
  return undefined;
});
const names = suite === undefined ? ['the file'] : [...testsOf(suite)].map(fullName);
await send({ type: 'declared', names });
if (suite === undefined || reason !== undefined) {
  for (const name of names) {
    ended({ name, outcome: 'skipped', ms: 0, onGpu: false, reason: reason ?? '' });
  }
} else {
  await runSuite(suite, { started: (name) => void send({ type: 'started', name }), ended });
}
// Late rejections are told before the end.
await new Promise((resolve) => setTimeout(resolve, 10));
await send({ type: 'done' });
process.exit(0);
