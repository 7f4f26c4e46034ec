// Suites and tests as a file declares them, and one walk over them.
import { host, Skip } from './host.js';

export type Outcome = 'passed' | 'failed' | 'skipped';

export interface TestResult {
  readonly name: string;
  readonly outcome: Outcome;
  readonly ms: number;
  /** Whether it opened, or may use, a group on GPUs. */
  readonly onGpu: boolean;
  /** Why it was skipped. */
  readonly reason?: string;
  readonly error?: string;
  /** What the test measured. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

type Body = () => unknown;

interface Hook {
  readonly run: Body;
  readonly timeoutMs: number;
}

export type HookName = 'beforeAll' | 'afterAll' | 'beforeEach' | 'afterEach';

interface Node {
  readonly name: string;
  readonly parent: Suite | undefined;
  onGpu: boolean;
}

export interface Test extends Node {
  readonly kind: 'test';
  readonly run: Body;
  readonly timeoutMs: number;
  notes: Record<string, unknown> | undefined;
}

export interface Suite extends Node {
  readonly kind: 'suite';
  readonly children: (Suite | Test)[];
  readonly hooks: Record<HookName, Hook[]>;
}

export interface Listener {
  started(name: string): void;
  ended(result: TestResult): void;
}

const TEST_TIMEOUT_MS = 120_000;
const HOOK_TIMEOUT_MS = 300_000;

let root = newSuite('', undefined);
let open = root;
/** What runs now: the suite of a hook, or a test. */
let running: Suite | Test | undefined;

function newSuite(name: string, parent: Suite | undefined): Suite {
  const hooks = { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] };
  return { kind: 'suite', name, parent, onGpu: false, children: [], hooks };
}

/** Starts a new file; gives what it declared once it was loaded. */
export async function declaredBy(load: () => Promise<unknown>): Promise<Suite> {
  root = open = newSuite('', undefined);
  await load();
  return root;
}

export function addSuite(name: string, declare: Body): void {
  const suite = newSuite(name, open);
  open.children.push(suite);
  open = suite;
  try {
    if (declare() instanceof Promise) throw new TypeError(`describe ${name} is asynchronous`);
  } finally {
    open = suite.parent ?? root;
  }
}

export function addTest(name: string, run: Body, timeoutMs = TEST_TIMEOUT_MS): void {
  open.children.push({
    ...{ kind: 'test', name, parent: open, run, timeoutMs },
    ...{ onGpu: false, notes: undefined },
  });
}

export function addHook(name: HookName, run: Body, timeoutMs = HOOK_TIMEOUT_MS): void {
  open.hooks[name].push({ run, timeoutMs });
}

/** Says that what runs now has work on GPUs; a suite's hook says it for all tests of the suite. */
export function markOnGpu(): void {
  if (running !== undefined) running.onGpu = true;
}

/** Keeps a measurement with the result of the test that runs now, and prints it. */
export function note(key: string, value: unknown): void {
  if (running?.kind !== 'test') throw new Error(`note ${key} outside of a test`);
  running.notes = { ...running.notes, [key]: value };
  console.log(`    ${key}: ${JSON.stringify(value)}`);
}

export function* testsOf(suite: Suite): Generator<Test> {
  for (const child of suite.children) {
    if (child.kind === 'test') yield child;
    else yield* testsOf(child);
  }
}

export function fullName({ name, parent }: Suite | Test): string {
  return parent === undefined || parent.name === '' ? name : `${fullName(parent)} > ${name}`;
}

function isOnGpu(node: Suite | Test): boolean {
  return node.onGpu || (node.parent !== undefined && isOnGpu(node.parent));
}

/** Runs every test of a suite. Where `beforeAll` fails or skips, so do the suite's tests. */
export async function runSuite(suite: Suite, listener: Listener): Promise<void> {
  const report = (test: Test, outcome: Ending, ms: number) =>
    listener.ended({
      name: fullName(test),
      ms: Math.round(ms),
      onGpu: isOnGpu(test),
      ...outcome,
      ...(test.notes && { notes: test.notes }),
    });

  running = suite;
  const before = await endingOf(suite.hooks.beforeAll);
  // Collecting goes on behind a hook that wants a spec: its tests may want others.
  if (before.outcome === 'passed' || host().mode === 'collect') {
    for (const child of suite.children) {
      if (child.kind === 'suite') await runSuite(child, listener);
      else {
        listener.started(fullName(child));
        const start = performance.now();
        report(child, await runTest(child), performance.now() - start);
      }
    }
  } else {
    for (const test of testsOf(suite)) report(test, before, 0);
  }
  running = suite;
  const after = await endingOf([...suite.hooks.afterAll].reverse());
  if (after.outcome !== 'failed') return;
  const name = suite.name === '' ? 'afterAll' : `${fullName(suite)} > afterAll`;
  listener.ended({ name, ms: 0, onGpu: isOnGpu(suite), ...after });
}

interface Ending {
  readonly outcome: Outcome;
  readonly reason?: string;
  readonly error?: string;
}

async function runTest(test: Test): Promise<Ending> {
  const suites: Suite[] = [];
  for (let suite = test.parent; suite !== undefined; suite = suite.parent) suites.unshift(suite);
  running = test;
  const before = await endingOf(suites.flatMap(({ hooks }) => hooks.beforeEach));
  const ending = before.outcome === 'passed' ? await endingOf([test]) : before;
  const after = await endingOf(suites.reverse().flatMap(({ hooks }) => hooks.afterEach));
  return ending.outcome !== 'failed' && after.outcome === 'failed' ? after : ending;
}

/** Runs one after the other; the first that does not pass decides. */
async function endingOf(steps: readonly Hook[]): Promise<Ending> {
  for (const step of steps) {
    try {
      const result = await limited(step);
      if (typeof result === 'function') throw new TypeError('a returned clean-up is not supported');
    } catch (error) {
      if (error instanceof Skip) return { outcome: 'skipped', reason: error.message };
      return { outcome: 'failed', error: textOf(error) };
    }
  }
  return { outcome: 'passed' };
}

function limited({ run, timeoutMs }: Hook): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`took more than ${timeoutMs} ms`)), timeoutMs);
    Promise.resolve()
      .then(run)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

/** An error with its causes. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text}\ncaused by ${textOf(error.cause)}`;
}
