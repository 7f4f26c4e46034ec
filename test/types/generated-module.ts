import { layoutFromPlan } from '../../generator/layout.js';
import { planFromSpec } from '../../generator/plan.js';
import { parseSpec } from '../../generator/spec.js';
import { renderWrapper } from '../../generator/wrapper.js';

/** What sets a module apart from one of plain bf16 rows. */
export interface ModuleFeatures {
  readonly dtype?: 'bf16' | 'fp8_e4m3';
  readonly extraBytes?: number;
  readonly topkIdx?: 'i64' | 'i32';
  readonly withoutTopk?: boolean;
  readonly cached?: boolean;
  readonly worstTokens?: boolean;
  readonly expertMajor?: boolean;
  readonly placement?: 'compact' | 'slotted';
  /** False without high-throughput calls. */
  readonly ht?: boolean;
  /** Undefined without low-latency calls. */
  readonly ll?: LowLatencyFeatures;
}

/** What sets low-latency calls apart from those of plain bf16 rows. */
export interface LowLatencyFeatures {
  readonly dtype?: 'bf16' | 'fp8_e4m3';
  readonly scaleDtype?: 'f32' | 'ue8m0';
  readonly stats?: boolean;
}

/** The generated `index.ts` of a spec of 8 ranks and top-8. */
export function generatedModule(hidden: number, features: ModuleFeatures = {}): string {
  const {
    dtype = 'bf16',
    extraBytes,
    topkIdx,
    placement,
    ht = true,
    ll = false,
    ...options
  } = features;
  const name = `ep8_h${hidden}_${dtype}`;
  const channels = { memory: { placement } };
  const spec = parseSpec(
    { name, ranks: 8, hidden, dtype, extraBytes, topkIdx, channels, ht: ht && options, ll },
    name,
  );
  const plan = planFromSpec(spec);
  return renderWrapper({ spec, plan, layout: layoutFromPlan(plan) });
}
