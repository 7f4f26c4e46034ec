import type { Spec } from './spec.js';

/** The value at a path such as `channels.memory.count`. */
export function fieldOf(owner: object, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], owner);
}

/** The spec with another value at a path. */
export function withField(spec: Spec, path: string, value: unknown): Spec {
  const set = (owner: unknown, [key, ...rest]: readonly string[]): unknown => {
    if (key === undefined) return value;
    const fields = owner as Record<string, unknown>;
    return { ...fields, [key]: set(fields[key], rest) };
  };
  return set(spec, path.split('.')) as Spec;
}
