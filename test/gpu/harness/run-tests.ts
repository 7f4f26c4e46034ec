// ./run-tests in a packed folder: runs every packed test file and writes one JSON file of results.
import { fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { AddonBackend, Host } from './host.js';
import type { FileJob, FileMessage } from './messages.js';
import { packedHost, resultName } from './packed-host.js';
import type { TestResult } from './tree.js';

const maxPrinted = 8;
const usage = `./run-tests [options]
  --ranks 8,4,2,1   only specs of these rank counts; default: those that were packed
  --share-devices   several ranks on a GPU where a spec has more ranks than there are GPUs
  --only TEXT       only files with TEXT in their path; repeatable
  --backend NAME    cuda or cpu; default: what the folder was packed for
  --limit SECONDS   for one file; default: 600
  --out DIR         where the results go; default: $OUT, else results`;

const { values } = parseArgs({
  options: {
    ranks: { type: 'string' },
    'share-devices': { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    backend: { type: 'string' },
    limit: { type: 'string', default: '600' },
    out: { type: 'string', default: process.env.OUT ?? 'results' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

interface FileResult {
  readonly file: string;
  readonly seconds: number;
  readonly tests: readonly TestResult[];
}

const packed = packedHost(resolve(import.meta.dirname, '../../..'));
const { manifest, machine, numDevices } = packed;
const host: Host = {
  dir: packed.dir,
  mode: 'run',
  backend: (values.backend ?? manifest.backend) as AddonBackend,
  numDevices,
  sharesDevices: values['share-devices'],
  ranks: values.ranks?.split(',').map(Number) ?? manifest.ranks,
};
const files = manifest.suites.filter((file) => values.only?.some((t) => file.includes(t)) ?? true);
const outDir = resolve(values.out);
const outFile = join(outDir, resultName(`tests-${host.backend}`, packed));
const results: FileResult[] = [];
const startedAt = new Date().toISOString();

mkdirSync(outDir, { recursive: true });
const gpus = machine.gpus.length > 0 ? machine.gpus.join(', ') : `no GPU (${packed.reason})`;
console.log(`${host.backend} on ${machine.system}, driver ${machine.driver ?? 'none'}: ${gpus}`);
console.log(`commit ${manifest.commit}${manifest.dirty.length > 0 ? ', with changes' : ''}`);
for (const file of files) {
  const start = performance.now();
  const tests = await runFile({ file, host }, Number(values.limit) * 1000);
  const seconds = (performance.now() - start) / 1000;
  results.push({ file, seconds, tests });
  const { passed, failed, skipped } = countsOf(tests);
  const numbers = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  console.log(`${failed > 0 ? '✗' : '✓'} ${file}: ${numbers} (${seconds.toFixed(1)} s)`);
  printFailures(tests.filter(({ outcome }) => outcome === 'failed'));
  // A run that is stopped leaves what it has found so far.
  write(false);
}
process.exitCode = finish();

/** The beginnings of the first failures; the results have all. */
function printFailures(failures: readonly TestResult[]): void {
  for (const { name, error = '' } of failures.slice(0, maxPrinted)) {
    const lines = error.split('\n').slice(0, maxPrinted);
    console.log([`  ✗ ${name}`, ...lines.map((line) => `      ${line}`)].join('\n'));
  }
  const numMore = failures.length - maxPrinted;
  if (numMore > 0) console.log(`  ... and ${numMore} more`);
}

/** Runs one file in a process of its own; tests that it did not get to have failed. */
function runFile(job: FileJob, limitMs: number): Promise<TestResult[]> {
  return new Promise((resolve) => {
    const program = join(job.host.dir, 'test/gpu/harness/run-file.js');
    // Ranks that share a device have more streams on it than the 8 queues that there are else.
    const env = { CUDA_DEVICE_MAX_CONNECTIONS: '32', ...process.env };
    const execArgv = ['--enable-source-maps'];
    const child = fork(program, [JSON.stringify(job)], { execArgv, env });
    const ended: TestResult[] = [];
    let declared: readonly string[] = [];
    let running: string | undefined;
    let isDone = false;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.on('message', (message: FileMessage) => {
      if (message.type === 'declared') declared = message.names;
      else if (message.type === 'started') running = message.name;
      else if (message.type === 'ended') ended.push(message.result);
      else isDone = true;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (isDone) return resolve(ended);
      const left = [...declared];
      for (const { name } of ended) {
        if (left.includes(name)) left.splice(left.indexOf(name), 1);
      }
      const how = isLate
        ? `the file took more than ${limitMs / 1000} s`
        : `the process ended with ${signal ?? `exit code ${code}`}`;
      const lost = left.length > 0 ? left : ['the file'];
      resolve([
        ...ended,
        ...lost.map((name) => {
          const error = name === running ? `${how} during this test` : `not run: ${how}`;
          return { name, outcome: 'failed' as const, ms: 0, onGpu: false, error };
        }),
      ]);
    });
  });
}

function countsOf(tests: readonly TestResult[]) {
  const count = (of: (test: TestResult) => boolean) => tests.filter(of).length;
  return {
    passed: count(({ outcome }) => outcome === 'passed'),
    failed: count(({ outcome }) => outcome === 'failed'),
    skipped: count(({ outcome }) => outcome === 'skipped'),
    onGpu: count(({ outcome, onGpu }) => onGpu && outcome !== 'skipped'),
  };
}

function skipReasons(tests: readonly TestResult[]): Record<string, number> {
  const reasons: Record<string, number> = {};
  for (const { outcome, reason = 'no reason' } of tests) {
    if (outcome === 'skipped') reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  return reasons;
}

function write(isComplete: boolean): void {
  const tests = results.flatMap((result) => result.tests);
  const report = {
    command: ['./run-tests', ...process.argv.slice(2)].join(' '),
    startedAt,
    isComplete,
    backend: host.backend,
    commit: manifest.commit,
    dirty: manifest.dirty,
    machine,
    counts: countsOf(tests),
    skipReasons: skipReasons(tests),
    addons: manifest.addons,
    files: results,
  };
  writeFileSync(outFile, `${JSON.stringify(report, null, 1)}\n`);
}

function finish(): number {
  write(true);
  const tests = results.flatMap((result) => result.tests);
  const { passed, failed, skipped, onGpu } = countsOf(tests);
  console.log(`\nresults: ${outFile}`);
  for (const [reason, number] of Object.entries(skipReasons(tests))) {
    console.log(`${number} skipped: ${reason}`);
  }
  const hasGpu = host.backend !== 'cuda' || onGpu > 0;
  if (!hasGpu) console.log(`No test ran on a GPU: ${packed.reason ?? 'all were skipped'}`);
  console.log(`${onGpu} ran on GPUs, ${skipped} skipped`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 && hasGpu ? 0 : 1;
}
