import pc from 'picocolors';
import type { BuildReport } from '../generator/compile.js';
import { humanBytes } from '../generator/human-bytes.js';
import { planFromSpec } from '../generator/plan.js';
import type { Spec } from '../generator/spec.js';
import { tableLines } from './table.js';

/** The table that ends a build, as lines for people and as a record for machines. */
export function buildSummary(
  spec: Spec,
  report: BuildReport,
): { readonly lines: readonly string[]; readonly record: object } {
  const plan = planFromSpec(spec);
  const { text: _, ...result } = report;
  const kernels = [
    { name: 'dispatch', ...resources(plan.dispatch) },
    { name: 'combine', ...resources(plan.combine) },
    { name: 'dispatch_layout', ...resources(plan.dispatchLayout) },
  ];
  const columns = [
    { title: 'backend' },
    { title: 'kernel' },
    { title: 'threads', align: 'right' as const },
    { title: 'shared bytes', align: 'right' as const },
    // Registers and spills are ptxas's to tell: g++ has none.
    { title: 'registers', align: 'right' as const },
    { title: 'spills', align: 'right' as const },
  ];
  const rows = kernels.map(({ name, numThreads, sharedBytes }) => [
    report.backend,
    name,
    numThreads,
    sharedBytes,
    'n/a',
    'n/a',
  ]);
  const totals = [
    `window ${humanBytes(plan.windowBytes)} a rank`,
    `addon ${humanBytes(report.addonBytes)}`,
    `${report.seconds.toFixed(1)} s`,
  ];
  return {
    lines: [pc.bold(spec.name), ...tableLines(columns, rows), totals.join(' · ')],
    record: { ...result, windowBytes: plan.windowBytes, kernels },
  };
}

function resources({
  numThreads,
  sharedBytes,
}: {
  readonly numThreads: number;
  readonly sharedBytes: number;
}): { numThreads: number; sharedBytes: number } {
  return { numThreads, sharedBytes };
}
