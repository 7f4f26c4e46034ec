import type { Features } from './features.js';

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

interface Kernel {
  readonly template?: string;
  readonly kernel: string;
  readonly argsType: string;
  readonly hasTopk?: boolean;
  isIn(features: Features): boolean;
}

/** Every kernel that a spec can have. */
const KERNELS: readonly Kernel[] = [
  { kernel: 'dispatch', argsType: 'DispatchArgs', hasTopk: true, isIn: () => true },
  {
    template: 'dispatch.cu',
    kernel: 'dispatch_without_topk',
    argsType: 'DispatchWithoutTopkArgs',
    isIn: ({ hasWithoutTopk }) => hasWithoutTopk,
  },
  {
    kernel: 'dispatch_cached',
    argsType: 'DispatchCachedArgs',
    isIn: ({ hasCached }) => hasCached,
  },
  { kernel: 'combine', argsType: 'CombineArgs', isIn: () => true },
  {
    kernel: 'expert_counts',
    argsType: 'ExpertCountsArgs',
    isIn: ({ hasExpertMajor }) => hasExpertMajor,
  },
  {
    kernel: 'expert_major',
    argsType: 'ExpertMajorArgs',
    isIn: ({ hasExpertMajor }) => hasExpertMajor,
  },
  {
    kernel: 'expert_sum',
    argsType: 'ExpertSumArgs',
    isIn: ({ hasExpertMajor }) => hasExpertMajor,
  },
  { kernel: 'll_dispatch', argsType: 'LlDispatchArgs', isIn: ({ hasLl }) => hasLl },
  { kernel: 'll_stage', argsType: 'LlStageArgs', isIn: ({ hasLl }) => hasLl },
  { kernel: 'll_combine', argsType: 'LlCombineArgs', isIn: ({ hasLl }) => hasLl },
  { kernel: 'dispatch_layout', argsType: 'DispatchLayoutArgs', isIn: () => true },
];

/** Names of the kernels that a spec with these features has. */
export function kernelNames(features: Features): readonly string[] {
  return KERNELS.filter((one) => one.isIn(features)).map(({ kernel }) => kernel);
}

/** The files that templates render for a spec with these features, in the order of writing. */
export function renderedFiles(features: Features): readonly RenderedFile[] {
  const text = (name: string): RenderedFile => ({ name, template: name, variant: NO_KERNEL });
  return [
    text('layout.cuh'),
    ...KERNELS.filter((one) => one.isIn(features)).map(
      ({ kernel, argsType, hasTopk = false, template = `${kernel}.cu` }) => ({
        name: `${kernel}.cu`,
        template,
        variant: { kernel, argsType, hasTopk },
      }),
    ),
    text('launch.cpp'),
    ...(features.hasReadyCounters ? [text('ready.cuh')] : []),
  ];
}
