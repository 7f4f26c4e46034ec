import { cppName } from './cpp-name.js';
import type { CombinePlan, DispatchPlan, ExpertMajorPlan } from './high-throughput-plan.js';
import type { LlCombinePlan, LlDispatchPlan } from './low-latency-plan.js';
import type { KernelPlan, Plan } from './plan.js';
import type { Spec } from './spec.js';

/** A number of the plan by name. */
export type PlanNumber =
  | NumberKeys<Plan>
  | `dispatch.${NumberKeys<DispatchPlan>}`
  | `combine.${NumberKeys<CombinePlan>}`
  | `expertMajor.${NumberKeys<ExpertMajorPlan>}`
  | `llDispatch.${NumberKeys<LlDispatchPlan>}`
  | `llCombine.${NumberKeys<LlCombinePlan>}`
  | `llStage.${NumberKeys<KernelPlan>}`
  | `dispatchLayout.${NumberKeys<KernelPlan>}`;

type NumberKeys<T> = { [K in keyof T]-?: Required<T>[K] extends number ? K : never }[keyof T] &
  string;

/** Where a rule's assertion stands: beside the constants of this group. */
export type RuleGroup =
  | 'exchange'
  | 'dispatch'
  | 'combine'
  | 'expertMajor'
  | 'llDispatch'
  | 'llCombine'
  | 'llStage'
  | 'dispatchLayout'
  | 'window';

/** The field to change instead of a rule's own, in some specs. */
export interface OtherField {
  readonly field: string;
  isBlamed(plan: Plan, spec: Spec): boolean;
}

/** One constraint, said once: checked here, reported in the spec's words, rendered as a `static_assert`. */
export interface Rule {
  /** The number of the plan that it limits, if it is about one. */
  readonly subject?: PlanNumber;
  /** The field of the spec to change, and any others that the rule depends on. */
  readonly field: string;
  readonly otherField?: OtherField;
  readonly dependsOn: readonly string[];
  readonly group: RuleGroup;
  /** In the plan's words. */
  readonly message: string;
  /** In C++, over the constants of layout.cuh. */
  readonly expr: string;
  /** What the field has to be, in the spec's words. */
  expected(plan: Plan): string;
  readonly reason: string;
  /** Whether the plan has what the rule is about; one that doesn't holds the rule, and asserts nothing. */
  appliesTo(plan: Plan): boolean;
  holds(plan: Plan): boolean;
}

/** A limit that native/device/ sets. */
interface HeaderConstant {
  readonly cppName: string;
  readonly value: number;
}

export interface RuleInput {
  readonly subject: PlanNumber;
  readonly than: PlanNumber | number | HeaderConstant;
  readonly field: string;
  /** Field of the spec that `than` is. */
  readonly thanField?: string;
  readonly otherField?: OtherField;
  readonly dependsOn?: readonly string[];
  readonly group?: RuleGroup;
  readonly reason: string;
  readonly expected?: (plan: Plan) => string;
  readonly appliesTo?: (plan: Plan) => boolean;
}

interface Relation {
  readonly words: string;
  holds(subject: number, than: number): boolean;
  expr(subject: string, than: string): string;
}

const RELATIONS = {
  multipleOf: {
    words: 'a multiple of',
    holds: (subject, than) => subject % than === 0,
    expr: (subject, than) => `${subject} % ${than} == 0`,
  },
  atMost: {
    words: 'at most',
    holds: (subject, than) => subject <= than,
    expr: (subject, than) => `${subject} <= ${than}`,
  },
  atLeast: {
    words: 'at least',
    holds: (subject, than) => subject >= than,
    expr: (subject, than) => `${subject} >= ${than}`,
  },
  lessThan: {
    words: 'less than',
    holds: (subject, than) => subject < than,
    expr: (subject, than) => `${subject} < ${than}`,
  },
} as const satisfies Record<string, Relation>;

/** The subject, a number of the plan, stands in `relation` to another or to a limit. */
export function rule(relation: keyof typeof RELATIONS, input: RuleInput): Rule {
  const { subject, than, field, otherField, thanField, reason, dependsOn = [] } = input;
  const { words, holds, expr } = RELATIONS[relation];
  const { appliesTo = () => true } = input;
  const group = input.group ?? groupOf(subject);
  const limit = limitOf(than, group);
  const { value } = limit;
  return {
    subject,
    field,
    ...(otherField ? { otherField } : {}),
    dependsOn: [field, ...(thanField ? [thanField] : []), ...dependsOn],
    group,
    message: `${subject} must be ${words} ${limit.text}: ${reason}`,
    expr: expr(cppName(subject, group), limit.cpp),
    reason,
    expected:
      input.expected ??
      ((plan) => `${words} ${thanField ? `${thanField} (${value(plan)})` : value(plan)}`),
    appliesTo,
    holds: (plan) => !appliesTo(plan) || holds(numberOf(plan, subject), value(plan)),
  };
}

function limitOf(than: RuleInput['than'], group: RuleGroup) {
  if (typeof than === 'number') return { text: `${than}`, cpp: `${than}`, value: () => than };
  if (typeof than === 'object') {
    return { text: `${than.value}`, cpp: than.cppName, value: () => than.value };
  }
  return { text: than, cpp: cppName(than, group), value: (plan: Plan) => numberOf(plan, than) };
}

/** 0 for what the plan does without. */
export function numberOf(plan: Plan, name: PlanNumber): number {
  const [group, key] = name.split('.');
  const owner = key === undefined ? plan : plan[group as Exclude<RuleGroup, 'exchange' | 'window'>];
  return (owner as Readonly<Record<string, number>> | undefined)?.[key ?? name] ?? 0;
}

function groupOf(name: PlanNumber): RuleGroup {
  return name.includes('.') ? (name.split('.', 1)[0] as RuleGroup) : 'exchange';
}
