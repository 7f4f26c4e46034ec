import type { Spec } from './spec.js';

/** The value at a path such as `channels.memory.count`. */
export function fieldOf(spec: Spec, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((owner, key) => (owner as Record<string, unknown>)[key], spec);
}

/** The spec with another number at a path. */
export function withField(spec: Spec, path: string, value: number): Spec {
  const set = (owner: unknown, [key, ...rest]: readonly string[]): unknown => {
    if (key === undefined) return value;
    const fields = owner as Record<string, unknown>;
    return { ...fields, [key]: set(fields[key], rest) };
  };
  return set(spec, path.split('.')) as Spec;
}
