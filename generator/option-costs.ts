import { DTYPES } from './dtype.js';
import { renderedFiles } from './kernels.js';
import { derivePlan, type Plan } from './plan.js';
import { RULES } from './rules.js';
import type { Spec } from './spec.js';
import { fieldOf, withField } from './spec-field.js';
import { DEFAULT_HT, DEFAULT_LL } from './spec-schema.js';

/** What an option of a spec adds to the same spec without it, or would add to one that doesn't have it. */
export interface OptionCost {
  readonly field: string;
  readonly isOn: boolean;
  /** The field's value with the option, and without it. */
  readonly value: unknown;
  readonly without: unknown;
  /** Bytes that a rank reserves more, or less where negative. */
  readonly windowBytes: number;
  readonly arenaBytes: number;
  readonly handleBytes: number;
  /** Rendered files that are there for the option alone, such as `dispatch_cached.cu`. */
  readonly files: readonly string[];
}

interface Option {
  readonly field: string;
  readonly without: unknown;
  /** What a spec that doesn't have the option is compared with. */
  readonly example: unknown;
  appliesTo?(spec: Spec): boolean;
}

const HIGH_THROUGHPUT_OPTIONS: readonly Option[] = [
  {
    // fp8 and opaque bytes are rows of the same size, with and without scales.
    field: 'dtype',
    without: 'u8',
    example: 'fp8_e4m3',
    appliesTo: ({ dtype }) => DTYPES[dtype].bytes === 1,
  },
  { field: 'extraBytes', without: 0, example: 16 },
  { field: 'ht.liveResults', without: 1, example: 2 },
  { field: 'ht.credit', without: false, example: true },
  { field: 'channels.memory.placement', without: 'compact', example: 'slotted' },
  { field: 'ht.withoutTopk', without: false, example: true },
  { field: 'ht.cached', without: false, example: true },
  { field: 'ht.worstTokens', without: false, example: true },
  { field: 'ht.combineWeights', without: false, example: true },
  { field: 'ht.biases', without: 0, example: 2 },
  { field: 'ht.expertMajor', without: false, example: true },
  { field: 'ht.readyCounters', without: false, example: true },
];

const LOW_LATENCY_OPTIONS: readonly Option[] = [
  { field: 'll.inFlight', without: 1, example: 2 },
  { field: 'll.credit', without: false, example: true },
  { field: 'll.dtype', without: 'bf16', example: 'fp8_e4m3' },
  { field: 'll.combineDtype', without: 'bf16', example: 'fp8_e4m3' },
  { field: 'll.stats', without: false, example: true },
];

/** Those of calls that the spec has. One kind of calls can go only where the other stays. */
function optionsOf({ ht, ll }: Spec): readonly Option[] {
  return [
    ...(ll ? [{ field: 'ht', without: false, example: DEFAULT_HT }] : []),
    ...(ht ? HIGH_THROUGHPUT_OPTIONS : []),
    ...(ht ? [{ field: 'll', without: false, example: DEFAULT_LL }] : []),
    ...(ll ? LOW_LATENCY_OPTIONS : []),
  ];
}

/** The cost of every option that the spec can have, those that it asks for first. */
export function optionCosts(spec: Spec): readonly OptionCost[] {
  const costs = optionsOf(spec)
    .filter(({ appliesTo }) => appliesTo?.(spec) ?? true)
    .flatMap((option) => {
      const cost = costOf(option, spec);
      return cost ? [cost] : [];
    });
  return [...costs.filter(({ isOn }) => isOn), ...costs.filter(({ isOn }) => !isOn)];
}

/** Undefined for an option that a rule keeps from the rest of the spec. */
function costOf({ field, without, example }: Option, spec: Spec): OptionCost | undefined {
  const isOn = fieldOf(spec, field) !== without;
  const value = isOn ? fieldOf(spec, field) : example;
  const withIt = derivePlan(withField(spec, field, value));
  if (!isValid(withIt)) return undefined;
  const base = derivePlan(withField(spec, field, without));
  const had = new Set(renderedFiles(base).map(({ name }) => name));
  return {
    field,
    isOn,
    value,
    without,
    windowBytes: withIt.windowBytes - base.windowBytes,
    arenaBytes: withIt.arenaBytes - base.arenaBytes,
    handleBytes: (withIt.handleBytes ?? 0) - (base.handleBytes ?? 0),
    files: renderedFiles(withIt)
      .map(({ name }) => name)
      .filter((name) => !had.has(name)),
  };
}

function isValid(plan: Plan): boolean {
  return RULES.every((rule) => rule.holds(plan));
}
