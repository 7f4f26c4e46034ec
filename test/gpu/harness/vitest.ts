// Stands in for `vitest` in the packed folder: what the packed tests use of it, and nothing more.
import { format } from 'node:util';
import { addHook, addSuite, addTest, type HookName } from './tree.js';

export { expect } from './expect.js';

type Fn<Args extends readonly unknown[]> = (...args: Args) => unknown;

/** One declaration for each row; a row that is an array is spread into arguments. */
function each(declare: (name: string, fn: Fn<[]>, timeoutMs?: number) => void) {
  return (rows: readonly unknown[]) =>
    (name: string, fn: Fn<unknown[]>, timeoutMs?: number): void => {
      for (const row of rows) {
        const args: unknown[] = Array.isArray(row) ? row : [row];
        declare(nameOf(name, args), () => fn(...args), timeoutMs);
      }
    };
}

/** Fills `%s` with the arguments and `$field` with a field of the first one. */
function nameOf(name: string, args: readonly unknown[]): string {
  const [first] = args;
  const isObject = typeof first === 'object' && first !== null;
  const fields = isObject ? (first as Record<string, unknown>) : {};
  const filled = name.replace(/\$(\w+)/g, (text, key: string) =>
    key in fields ? JSON.stringify(fields[key]) : text,
  );
  const numPlaces = filled.match(/%[a-z]/g)?.length ?? 0;
  return format(filled, ...args.slice(0, numPlaces));
}

export const describe = Object.assign(
  (name: string, declare: Fn<[]>): void => addSuite(name, declare),
  { each: each(addSuite) },
);

export const test = Object.assign(
  (name: string, run: Fn<[]>, timeoutMs?: number): void => addTest(name, run, timeoutMs),
  { each: each(addTest) },
);

const hook = (name: HookName) => (run: Fn<[]>, timeoutMs?: number) => addHook(name, run, timeoutMs);
export const beforeAll = hook('beforeAll');
export const afterAll = hook('afterAll');
export const beforeEach = hook('beforeEach');
export const afterEach = hook('afterEach');
