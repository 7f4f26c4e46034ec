import type { Spec } from './spec.js';
import { parseSpec } from './spec.js';
import { SPEC_FLAGS } from './spec-flags.js';

/** Without a field of it, low-latency calls would not be asked for. */
const ALWAYS_GIVEN: ReadonlySet<string> = new Set(['ranks', 'hidden', 'll.maxTokensPerRank']);

/** The command that builds this spec anywhere, without its spec file. */
export function buildCommand(spec: Spec): string {
  const { ranks, hidden, ll } = spec;
  const defaults = leavesOf(parseSpec({ ranks, hidden, ll: ll && {} }, spec.name));
  const given = leavesOf(spec).filter(([path, value]) => {
    if (ALWAYS_GIVEN.has(path)) return true;
    return path !== 'name' && value !== defaults.find(([other]) => other === path)?.[1];
  });
  const unnamed = parseSpec(withoutName(spec), spec.name);
  if (unnamed.name !== spec.name) given.push(['name', spec.name]);
  const words = given.map(([path, value]) => {
    const own = SPEC_FLAGS.find((one) => one.path === path);
    return own ? `${own.flag} ${value}` : `--set ${path}=${value}`;
  });
  return ['epgen build', ...words].join(' ');
}

function withoutName({ name: _, ...rest }: Spec): Omit<Spec, 'name'> {
  return rest;
}

function leavesOf(value: object, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, entry]): [string, unknown][] =>
    typeof entry === 'object' && entry !== null
      ? leavesOf(entry, `${prefix}${key}.`)
      : [[prefix + key, entry]],
  );
}
