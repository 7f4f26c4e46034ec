import type { Features } from './features.js';
import { type HighThroughputShape, hasHt } from './high-throughput-plan.js';

/** A file that a template renders. */
export interface RenderedFile {
  readonly name: string;
  /** `templates/<template>.hbs`. */
  readonly template: string;
  /** What sets it apart from other files of the same template. */
  readonly variant: Variant;
}

/** One of several kernels that a template can be. */
export interface Variant {
  /** Name of the kernel, without `_kernel`; empty in files that have none. */
  readonly kernel: string;
  readonly argsType: string;
  /** Whether tokens come with their choice of experts. */
  readonly hasTopk: boolean;
}

const NO_KERNEL: Variant = { kernel: '', argsType: '', hasTopk: false };

/** What of a plan says which kernels there are. */
interface Kernels extends Partial<HighThroughputShape> {
  readonly features: Features;
}

interface Kernel {
  readonly template?: string;
  readonly kernel: string;
  readonly argsType: string;
  readonly hasTopk?: boolean;
  isIn(plan: Kernels): boolean;
}

/** Every kernel that a spec can have. */
const KERNELS: readonly Kernel[] = [
  { kernel: 'dispatch', argsType: 'DispatchArgs', hasTopk: true, isIn: hasHt },
  {
    template: 'dispatch.cu',
    kernel: 'dispatch_without_topk',
    argsType: 'DispatchWithoutTopkArgs',
    isIn: ({ features }) => features.hasWithoutTopk,
  },
  {
    kernel: 'dispatch_cached',
    argsType: 'DispatchCachedArgs',
    isIn: ({ features }) => features.hasCached,
  },
  { kernel: 'combine', argsType: 'CombineArgs', isIn: hasHt },
  {
    kernel: 'expert_counts',
    argsType: 'ExpertCountsArgs',
    isIn: ({ features }) => features.hasExpertMajor,
  },
  {
    kernel: 'expert_major',
    argsType: 'ExpertMajorArgs',
    isIn: ({ features }) => features.hasExpertMajor,
  },
  {
    kernel: 'expert_sum',
    argsType: 'ExpertSumArgs',
    isIn: ({ features }) => features.hasExpertMajor,
  },
  { kernel: 'll_dispatch', argsType: 'LlDispatchArgs', isIn: ({ features }) => features.hasLl },
  { kernel: 'll_stage', argsType: 'LlStageArgs', isIn: ({ features }) => features.hasLl },
  { kernel: 'll_combine', argsType: 'LlCombineArgs', isIn: ({ features }) => features.hasLl },
  { kernel: 'dispatch_layout', argsType: 'DispatchLayoutArgs', isIn: hasHt },
];

/** Names of the kernels that a plan has. */
export function kernelNames(plan: Kernels): readonly string[] {
  return KERNELS.filter((one) => one.isIn(plan)).map(({ kernel }) => kernel);
}

/** The files that templates render for a plan, in the order of writing. */
export function renderedFiles(plan: Kernels): readonly RenderedFile[] {
  const text = (name: string): RenderedFile => ({ name, template: name, variant: NO_KERNEL });
  return [
    text('layout.cuh'),
    ...KERNELS.filter((one) => one.isIn(plan)).map(
      ({ kernel, argsType, hasTopk = false, template = `${kernel}.cu` }) => ({
        name: `${kernel}.cu`,
        template,
        variant: { kernel, argsType, hasTopk },
      }),
    ),
    text('launch.cpp'),
    ...(plan.features.hasReadyCounters ? [text('ready.cuh')] : []),
  ];
}
