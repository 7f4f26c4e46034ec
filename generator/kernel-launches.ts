import type { ExpertMajorPlan } from './high-throughput-plan.js';
import { kernelNames } from './kernels.js';
import type { Plan } from './plan.js';
import { expertCountsShared } from './shared-memory.js';

/** What a launch of a kernel asks for. */
export interface KernelLaunch {
  readonly name: string;
  readonly numThreads: number;
  /** Shared memory of a block. */
  readonly sharedBytes: number;
}

/** The launches of every kernel that a plan has. */
export function kernelLaunches(plan: Plan): readonly KernelLaunch[] {
  return kernelNames(plan).map((name) => {
    const { numThreads, sharedBytes } = launchOf(plan, name);
    return { name, numThreads, sharedBytes };
  });
}

function launchOf(plan: Plan, name: string): Omit<KernelLaunch, 'name'> {
  if (plan.dispatchLayout && name === 'dispatch_layout') return plan.dispatchLayout;
  if (plan.combine && name === 'combine') return plan.combine;
  if (plan.llDispatch && name === 'll_dispatch') return plan.llDispatch;
  if (plan.llCombine && name === 'll_combine') return plan.llCombine;
  if (plan.llStage && name === 'll_stage') return plan.llStage;
  if (plan.expertMajor && name.startsWith('expert_')) {
    return expertLaunchOf({ ...plan, ...plan.expertMajor }, name);
  }
  if (plan.dispatch) return plan.dispatch;
  throw new Error(`Expected ${plan.name} to have a kernel ${name}`);
}

function expertLaunchOf(
  plan: Pick<Plan, 'numLocalExperts'> & ExpertMajorPlan,
  name: string,
): Omit<KernelLaunch, 'name'> {
  const { numThreads, sharedBytes } = plan;
  // Sums need nothing there; the record of nothing takes a byte.
  if (name === 'expert_sum') return { numThreads, sharedBytes: 1 };
  if (name === 'expert_counts') return { numThreads, sharedBytes: expertCountsShared(plan).bytes };
  return { numThreads, sharedBytes };
}
