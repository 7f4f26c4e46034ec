import type { Plan } from './plan.js';
import type { RecordLayout } from './record.js';
import type { Spec } from './spec.js';

/** How a number follows from others. */
export interface Derivation {
  /** Over names of the plan, `spec.<field>`, constants and `terms`, with min, max, ceil, floor, log2 and roundUp. */
  readonly formula: string;
  /** What the formula names that is none of these. */
  readonly terms?: Readonly<Record<string, number>>;
  /** The name in the formula of the limit that the number stands at, where it could stand at several. */
  readonly boundBy?: string;
  /** What the formula doesn't say. */
  readonly note?: string;
}

export interface Derived {
  readonly spec: Spec;
  readonly plan: Plan;
}

/** A formula alone, or what depends on the spec. */
export type Derive = string | ((derived: Derived) => Derivation);

/** The size of a record as the sum of its fields. */
export function sumOfFields({ fields, bytes }: RecordLayout): Derivation {
  const terms = fields.map(({ name, offset }, i): [string, number] => [
    name,
    (fields[i + 1]?.offset ?? bytes) - offset,
  ]);
  return {
    formula: terms.map(([name]) => name).join(' + '),
    terms: Object.fromEntries(terms),
    note: 'bytes of each field, with the padding after it',
  };
}
