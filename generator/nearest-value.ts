import { derivePlan } from './plan.js';
import type { Rule } from './rule.js';
import { RULES } from './rules.js';
import type { Spec } from './spec.js';
import { fieldOf, withField } from './spec-field.js';

export interface NearestInput {
  readonly spec: Spec;
  readonly field: string;
  /** The rule that the field breaks, where it is known. */
  readonly rule?: Rule;
}

const STEPS = 64;
const LARGEST = 2 ** 48;

/** The number nearest to what `spec` has in `field` that breaks no rule on that field, nor one that held before. */
export function nearestValue({ spec, field, rule }: NearestInput): number | undefined {
  const start = startOf(spec, field);
  const before = derivePlan(spec);
  const binding = RULES.filter((one) => blames(one, field) || one.holds(before));
  const isValid = (value: number) => {
    if (!Number.isSafeInteger(value) || value < 1) return false;
    const plan = derivePlan(withField(spec, field, value));
    return binding.every((one) => one.holds(plan));
  };
  const near = around(start).find(isValid);
  if (near !== undefined || rule === undefined) return near;
  const boundary = boundaryOf(start, (value) =>
    rule.holds(derivePlan(withField(spec, field, value))),
  );
  return boundary === undefined ? undefined : around(boundary).find(isValid);
}

/** A field that is 'auto' is tried from what the plan made of it. */
function startOf(spec: Spec, field: string): number {
  const value = fieldOf(spec, field);
  return typeof value === 'number' ? value : (derivePlan(spec).combine?.pieceBytes ?? 1);
}

function blames(rule: Rule, field: string): boolean {
  return rule.field === field || rule.otherField?.field === field;
}

/** `value`, then its neighbours, the larger of two first. */
function around(value: number): number[] {
  return [value, ...Array.from({ length: STEPS }, (_, i) => [value + i + 1, value - i - 1]).flat()];
}

/** Where a rule that `start` breaks begins to hold, below it or else above it, found by halving. */
function boundaryOf(start: number, holds: (value: number) => boolean): number | undefined {
  let broken = start;
  let valid = holds(1) ? 1 : start;
  while (valid === start || !holds(valid)) {
    valid *= 2;
    if (valid > LARGEST) return undefined;
  }
  while (Math.abs(broken - valid) > 1) {
    const middle = Math.floor((broken + valid) / 2);
    if (holds(middle)) valid = middle;
    else broken = middle;
  }
  return valid;
}
