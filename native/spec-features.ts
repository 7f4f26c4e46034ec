import { callName } from './arguments.js';
import { describe } from './dtype.js';
import { EpgenUnsupportedError } from './errors.js';
import type { Spec } from './spec-types.js';

interface Feature {
  /** What the spec has to say, so that the option is compiled in. */
  readonly field: string;
  /** A value that asks for nothing. */
  readonly neutral?: unknown;
  isIn(spec: Spec): boolean;
}

/** Arguments that only some specs have. */
const FEATURES = {
  xScales: { field: "dtype 'fp8_e4m3'", isIn: hasScales },
  extras: { field: 'extraBytes', isIn: ({ extraBytes }) => extraBytes > 0 },
  layout: { field: 'ht.withoutTopk', isIn: ({ ht }) => ht !== false && ht.withoutTopk },
  handle: { field: 'ht.cached', isIn: ({ ht }) => ht !== false && ht.cached },
  topkWeights: { field: 'ht.combineWeights', isIn: ({ ht }) => ht !== false && ht.combineWeights },
  bias: { field: 'ht.biases', isIn: ({ ht }) => ht !== false && ht.biases > 0 },
  expertMajor: { field: 'ht.expertMajor', isIn: ({ ht }) => ht !== false && ht.expertMajor },
  cumulativeStats: { field: 'll.stats', isIn: hasLowLatencyStats },
  waitStats: { field: 'll.stats', isIn: hasLowLatencyStats },
  numWorstTokens: {
    field: 'ht.worstTokens',
    neutral: 0,
    isIn: ({ ht }) => ht !== false && ht.worstTokens,
  },
} as const satisfies Record<string, Feature>;

export type FeatureArgument = keyof typeof FEATURES;

export function hasScales({ dtype }: Pick<Spec, 'dtype'>): boolean {
  return dtype === 'fp8_e4m3';
}

function hasLowLatencyStats({ ll }: Pick<Spec, 'll'>): boolean {
  return ll !== false && ll.stats;
}

/** Those of `names` that the call may have: what its spec has, and what asks for nothing. Refuses a call that has others. */
export function builtArguments(
  spec: Spec,
  path: string,
  call: Readonly<Record<string, unknown>>,
  names: readonly FeatureArgument[],
): readonly FeatureArgument[] {
  return names.filter((name) => {
    const { field, neutral, isIn }: Feature = FEATURES[name];
    if (isIn(spec)) return true;
    const value = call[name];
    if (value === undefined) return false;
    if (value === null || value === neutral) return true;
    throw new EpgenUnsupportedError(
      `Expected ${callName(path)} to be without ${name}, which ${spec.name} was built without, but received ${describe(value)}`,
      { hint: `Set ${field} in the spec and build again.` },
    );
  });
}
