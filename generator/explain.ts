import { ARENA_UNIT_BYTES } from './arena.js';
import type { Derivation, Derive, Derived } from './derivation.js';
import { KERNELS } from './derive-kernels.js';
import { LOW_LATENCY } from './derive-low-latency.js';
import { MEMORY, memoryParts } from './derive-memory.js';
import { SHAPE } from './derive-shape.js';
import { SCALES_PER_PACKED_WORD, VECTOR_BYTES } from './dtype.js';
import { HANDLE_ALIGN } from './handle.js';
import {
  COLUMN_ALIGN,
  LAYOUT_WARPS,
  MAX_REDUCE_WARPS,
  META_WARPS,
  MIN_COMBINE_STAGES,
  MIN_DISPATCH_STAGES,
  WARP_SIZE,
  WORD_BYTES,
} from './high-throughput-plan.js';
import {
  LL_CHIP_CHANNELS,
  LL_COMBINE_EXTRA_BYTES,
  LL_DISPATCH_STAGES,
  LL_DISPATCH_WARPS,
  LL_MAX_COMBINE_STAGES,
  LL_MAX_REDUCE_WARPS,
  LL_SCALE_BLOCK,
  LL_STAGE_WARPS,
} from './low-latency-plan.js';
import { MAX_AUTO_PIECE_BYTES } from './pieces.js';
import type { Plan } from './plan.js';
import { numOutputBuffers } from './reuse.js';
import { numberOf, type PlanNumber } from './rule.js';
import { RULES } from './rules.js';
import { AUTO_IN_FLIGHT_BYTES, MAX_AUTO_STAGES, SHARED_BYTES_LIMIT } from './shared-memory.js';
import { fieldOf } from './spec-field.js';
import { PAGE_BYTES, WINDOW_ALIGN } from './window.js';

/** Why a number is what it is. */
export interface Explanation {
  /** As in the plan; `window.<region>`, `arena.<part>` and `handle.<part>` are summands of its sizes. */
  readonly name: string;
  /** A kernel, `window`, `arena`, `handle`, or `exchange` for what all of them share. */
  readonly group: string;
  readonly value: number;
  /** Over the names of `inputs`, with min, max, ceil, floor, log2 and roundUp. */
  readonly formula: string;
  readonly inputs: readonly ExplanationInput[];
  /** The input that is the limit at which the number stands, where it could stand at several. */
  readonly boundBy?: string;
  readonly note?: string;
  /** What the number has to obey. */
  readonly rules: readonly string[];
}

export interface ExplanationInput {
  readonly name: string;
  readonly value: number;
}

const CONSTANTS: Readonly<Record<string, number>> = {
  ARENA_UNIT_BYTES,
  AUTO_IN_FLIGHT_BYTES,
  COLUMN_ALIGN,
  HANDLE_ALIGN,
  LAYOUT_WARPS,
  LL_CHIP_CHANNELS,
  LL_COMBINE_EXTRA_BYTES,
  LL_DISPATCH_STAGES,
  LL_DISPATCH_WARPS,
  LL_MAX_COMBINE_STAGES,
  LL_MAX_REDUCE_WARPS,
  LL_SCALE_BLOCK,
  LL_STAGE_WARPS,
  MAX_AUTO_PIECE_BYTES,
  MAX_AUTO_STAGES,
  MAX_REDUCE_WARPS,
  META_WARPS,
  MIN_COMBINE_STAGES,
  MIN_DISPATCH_STAGES,
  OUTPUT_BUFFERS: numOutputBuffers,
  PAGE_BYTES,
  SCALES_PER_PACKED_WORD,
  WORD_BYTES,
  SHARED_BYTES_LIMIT,
  VECTOR_BYTES,
  WARP_SIZE,
  WINDOW_ALIGN,
};

const DERIVATIONS: Readonly<Record<PlanNumber, Derive>> = {
  ...SHAPE,
  ...KERNELS,
  ...LOW_LATENCY,
  ...MEMORY,
};

const FUNCTIONS: ReadonlySet<string> = new Set(['min', 'max', 'ceil', 'floor', 'log2', 'roundUp']);

/** Every number of the plan with what it follows from, each size before its summands. */
export function explainPlan(derived: Derived): readonly Explanation[] {
  const { plan } = derived;
  const parts = memoryParts(derived);
  const partValues = Object.fromEntries(parts.map(({ name, value }) => [name, value]));
  const explained = (name: string, value: number, derivation: Derivation): Explanation => ({
    name,
    group: groupOf(name),
    value,
    formula: derivation.formula,
    inputs: inputsOf(derivation, partValues, derived),
    ...(derivation.boundBy ? { boundBy: derivation.boundBy } : {}),
    ...(derivation.note ? { note: derivation.note } : {}),
    rules: RULES.filter((rule) => rule.subject === name && rule.appliesTo(plan)).map(
      ({ message }) => message,
    ),
  });
  const names = Object.keys(DERIVATIONS) as PlanNumber[];
  const numbers = names
    .filter((name) => isPartOf(plan, name))
    .map((name) => {
      const derive = DERIVATIONS[name];
      const derivation = typeof derive === 'string' ? { formula: derive } : derive(derived);
      return explained(name, numberOf(plan, name), derivation);
    });
  const summands = parts.map(({ name, value, derivation }) => explained(name, value, derivation));
  return numbers.flatMap((number) =>
    Object.hasOwn(MEMORY, number.name)
      ? [number, ...summands.filter(({ group }) => group === number.group)]
      : [number],
  );
}

function groupOf(name: string): string {
  if (Object.hasOwn(MEMORY, name)) return name.replace(/Bytes$/, '');
  return name.includes('.') ? name.slice(0, name.indexOf('.')) : 'exchange';
}

/** A kernel that the spec does without has no numbers, nor have calls. */
function isPartOf(plan: Plan, name: PlanNumber): boolean {
  return fieldOf(plan, name) !== undefined;
}

function inputsOf(
  { formula, terms }: Derivation,
  parts: Readonly<Record<string, number>>,
  { spec, plan }: Derived,
): ExplanationInput[] {
  const known = { ...CONSTANTS, ...parts, ...terms };
  const names = new Set(formula.match(/[A-Za-z_][\w.]*/g)?.filter((name) => !FUNCTIONS.has(name)));
  return [...names].map((name) => {
    const value = name.startsWith('spec.')
      ? fieldOf(spec, name.slice('spec.'.length))
      : (known[name] ?? fieldOf(plan, name));
    if (typeof value === 'number') return { name, value };
    throw new Error(`Expected ${name} in ${formula} to be a number but received ${value}`);
  });
}
