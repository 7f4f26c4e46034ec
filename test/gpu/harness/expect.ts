// The matchers that packed tests use. Any other is no function, so a test that needs it fails.
import { inspect, isDeepStrictEqual } from 'node:util';

type Matcher = (got: unknown, ...want: never[]) => boolean;
type Constructor = abstract new (...args: never[]) => unknown;

/** Stands for any value that it accepts, wherever something is expected to be contained or thrown. */
class Pattern {
  readonly accepts: (got: unknown) => boolean;
  readonly wanted: unknown;

  constructor(wanted: unknown, accepts: (got: unknown) => boolean) {
    this.wanted = wanted;
    this.accepts = accepts;
  }
}

const matchers = {
  toBe: (got: unknown, want: unknown) => Object.is(got, want),
  toEqual: (got: unknown, want: unknown) => isDeepStrictEqual(got, want),
  toMatchObject: (got: unknown, want: object) => contains(got, want),
  toContain: (got: unknown, want: unknown) =>
    typeof got === 'string' ? got.includes(String(want)) : (got as unknown[]).includes(want),
  toMatch: (got: unknown, want: RegExp) => want.test(String(got)),
  toHaveLength: (got: unknown, want: number) => (got as ArrayLike<unknown>).length === want,
  toBeInstanceOf: (got: unknown, want: Constructor) => got instanceof want,
  toBeDefined: (got: unknown) => got !== undefined,
  toBeUndefined: (got: unknown) => got === undefined,
  toBeGreaterThan: (got: unknown, want: number) => (got as number) > want,
  toBeGreaterThanOrEqual: (got: unknown, want: number) => (got as number) >= want,
  toBeLessThan: (got: unknown, want: number) => (got as number) < want,
  toBeLessThanOrEqual: (got: unknown, want: number) => (got as number) <= want,
  toThrow: (got: unknown, want?: string | RegExp | Constructor | Pattern) => throws(got, want),
} satisfies Record<string, Matcher>;

type Assertions = {
  readonly [Name in keyof typeof matchers]: (
    ...want: (typeof matchers)[Name] extends (got: unknown, ...want: infer W) => boolean ? W : never
  ) => void;
};

function assertions(got: unknown, message: string | undefined, isRight: boolean): Assertions {
  const entries = Object.entries(matchers).map(([name, matches]) => [
    name,
    (...want: never[]) => {
      if ((matches as Matcher)(got, ...want) === isRight) return;
      const verb = `${isRight ? '' : 'not '}${name}`;
      const text = `expected ${shown(got)} ${verb} ${want.map(shown).join(', ')}`;
      throw new Error(message === undefined ? text : `${message}: ${text}`);
    },
  ]);
  return Object.fromEntries(entries);
}

/** The matchers for what a promise brings, which may take a while. */
type Later = {
  readonly [Name in keyof Assertions]: (...want: Parameters<Assertions[Name]>) => Promise<void>;
};

/** Assertions about what `bring` gives: an error is matched itself, as if it was thrown where `toThrow` asks. */
function later(bring: () => Promise<unknown>, message: string | undefined): Later {
  const entries = Object.keys(matchers).map((name) => [
    name,
    async (...want: never[]) => {
      const got = await bring();
      const thrown = () => {
        throw got;
      };
      const subject = name === 'toThrow' && got instanceof Error ? thrown : got;
      const assertion = assertions(subject, message, true)[name as keyof Assertions];
      (assertion as (...want: never[]) => void)(...want);
    },
  ]);
  return Object.fromEntries(entries);
}

function rejection(got: unknown): Promise<unknown> {
  return Promise.resolve(got).then(
    () => expect.fail('expected a promise that rejects'),
    (error: unknown) => error,
  );
}

/** Asks again until what `ask` gives is right, for a second at most. */
function poll(ask: () => unknown): Later {
  const entries = Object.keys(matchers).map((name) => [
    name,
    async (...want: never[]) => {
      for (const end = Date.now() + 1000; ; ) {
        const assertion = assertions(await ask(), undefined, true)[name as keyof Assertions];
        try {
          return (assertion as (...want: never[]) => void)(...want);
        } catch (error) {
          if (Date.now() > end) throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  ]);
  return Object.fromEntries(entries);
}

type Expected = Assertions & {
  readonly not: Assertions;
  readonly rejects: Later;
  readonly resolves: Later;
};

export const expect = Object.assign(
  (got: unknown, message?: string): Expected => ({
    ...assertions(got, message, true),
    not: assertions(got, message, false),
    rejects: later(() => rejection(got), message),
    resolves: later(() => Promise.resolve(got), message),
  }),
  {
    poll,
    objectContaining: (want: object) => new Pattern(want, (got) => contains(got, want)),
    stringMatching: (want: RegExp) => new Pattern(want, (got) => want.test(String(got))),
    stringContaining: (want: string) => new Pattern(want, (got) => String(got).includes(want)),
    fail(message: string): never {
      throw new Error(message);
    },
  },
);

function shown(value: unknown): string {
  if (value instanceof Function) return value.name || 'a function';
  const text = inspect(value, { depth: 4, maxArrayLength: 20, maxStringLength: 2000 });
  return text.length > 4000 ? `${text.slice(0, 4000)}...` : text;
}

/** Whether `got` has all that `want` has. */
function contains(got: unknown, want: unknown): boolean {
  if (want instanceof Pattern) return want.accepts(got);
  if (typeof want !== 'object' || want === null) return Object.is(got, want);
  if (typeof got !== 'object' || got === null) return false;
  if (Array.isArray(want)) {
    return (
      Array.isArray(got) &&
      got.length === want.length &&
      want.every((element, i) => contains(got[i], element))
    );
  }
  return Object.entries(want).every(([key, value]) =>
    contains((got as Record<string, unknown>)[key], value),
  );
}

function throws(run: unknown, want: string | RegExp | Constructor | Pattern | undefined): boolean {
  try {
    (run as () => unknown)();
  } catch (error) {
    if (want === undefined) return true;
    if (want instanceof Pattern) return want.accepts(error);
    if (typeof want === 'function') return error instanceof want;
    const message = error instanceof Error ? error.message : String(error);
    return typeof want === 'string' ? message.includes(want) : want.test(message);
  }
  return false;
}
