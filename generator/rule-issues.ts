import type { SpecIssue } from './errors.js';
import { nearestValue } from './nearest-value.js';
import { derivePlan, type Plan } from './plan.js';
import type { Rule } from './rule.js';
import { RULES } from './rules.js';
import { showValue } from './show-value.js';
import type { Spec } from './spec.js';
import { fieldOf, withField } from './spec-field.js';

/** Every rule that `spec` breaks, in its own words. Rules that depend on a malformed field aren't judged. */
export function ruleIssues(spec: Spec, malformed: readonly string[] = []): SpecIssue[] {
  const plan = derivePlan(spec);
  const issues: SpecIssue[] = [];
  // Each fix counts on the fixes before it, so that together they make a valid spec.
  let repaired = spec;
  for (const rule of RULES) {
    const isJudged = !rule.dependsOn.some((field) =>
      malformed.some((path) => overlaps(path, field)),
    );
    if (!isJudged || rule.holds(plan)) continue;
    const repairedPlan = derivePlan(repaired);
    const field = rule.otherField?.isBlamed(repairedPlan, repaired)
      ? rule.otherField.field
      : rule.field;
    const received = fieldOf(spec, field);
    // What only follows from another field's fault is no fault of this one.
    const isConsequence = received === fieldOf(repaired, field) && rule.holds(repairedPlan);
    if (isConsequence) continue;
    const nearest = nearestValue({ spec: repaired, field, rule });
    if (nearest !== undefined) repaired = withField(repaired, field, nearest);
    const issue = issueOf(rule, plan, { field, received, nearest });
    if (!issues.some((other) => isSame(other, issue))) issues.push(issue);
  }
  return issues;
}

interface Judged {
  readonly field: string;
  readonly received: unknown;
  readonly nearest: number | undefined;
}

function issueOf(rule: Rule, plan: Plan, { field, received, nearest }: Judged): SpecIssue {
  const expected = `Expected ${field} to be ${rule.expected(plan)}`;
  const issue = {
    path: field,
    message: `${expected} but received ${showValue(received)}: ${rule.reason}`,
    received,
  };
  return nearest === undefined ? issue : { ...issue, fix: `${nearest}` };
}

/** Two rules may ask for the same thing for different reasons. */
function isSame(a: SpecIssue, b: SpecIssue): boolean {
  const demand = ({ message }: SpecIssue) => message.split(' but received ', 1)[0];
  return demand(a) === demand(b);
}

function overlaps(a: string, b: string): boolean {
  return a === b || a === '' || a.startsWith(`${b}.`) || b.startsWith(`${a}.`);
}
