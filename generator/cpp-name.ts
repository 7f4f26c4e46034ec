import type { RuleGroup } from './rule.js';

/** `dispatch.numStages` → `kNumStages` beside dispatch's constants, else `dispatch::kNumStages`. */
export function cppName(name: string, group?: RuleGroup): string {
  const [owner, key] = name.split('.');
  if (key === undefined) return constantName(name);
  const constant = constantName(key);
  return owner === group ? constant : `${snakeCase(owner ?? '')}::${constant}`;
}

export function constantName(name: string): string {
  return `k${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
