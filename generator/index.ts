export { checkAll, checkFolder, type DriftProblem, type DriftReport } from './check.js';
export {
  EpgenError,
  EpgenSpecError,
  EpgenToolError,
  EpgenUnsupportedError,
  type ErrorCode,
  type SpecIssue,
} from './errors.js';
export type { FileSet } from './file-set.js';
export { generate, generateTo } from './generate.js';
export { type Layout, layoutFromPlan } from './layout.js';
export { loadSpec } from './load-spec.js';
export type { WriteReport } from './output.js';
export { type Plan, planFromSpec } from './plan.js';
export { PRESETS, type Preset, type PresetName } from './presets.js';
export type { ReuseEdge } from './reuse.js';
export {
  canonicalSpecJson,
  defineSpec,
  parseSpec,
  type Spec,
  type SpecInput,
  specHash,
} from './spec.js';
export { type SpecField, specFields } from './spec-fields.js';
