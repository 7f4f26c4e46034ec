import pc from 'picocolors';
import type { BuildReport } from '../generator/compile.js';
import { humanBytes } from '../generator/human-bytes.js';
import { kernelLaunches } from '../generator/kernel-launches.js';
import { planFromSpec } from '../generator/plan.js';
import { spillBytes } from '../generator/ptxas-report.js';
import type { Spec } from '../generator/spec.js';
import { tableLines } from './table.js';

/** The table that ends a build, as lines for people and as one record per backend for machines. */
export function buildSummary(
  spec: Spec,
  reports: readonly BuildReport[],
): { readonly lines: readonly string[]; readonly records: readonly object[] } {
  const plan = planFromSpec(spec);
  const launches = kernelLaunches(plan);
  const columns = [
    { title: 'backend' },
    { title: 'kernel' },
    { title: 'threads', align: 'right' as const },
    { title: 'shared bytes', align: 'right' as const },
    // Registers and spills are ptxas's to tell: g++ has none.
    { title: 'registers', align: 'right' as const },
    { title: 'spills', align: 'right' as const },
  ];
  const rows = reports.flatMap(({ backend, arch, kernels }) =>
    launches.map(({ name, numThreads, sharedBytes }) => {
      const code = kernels?.find((kernel) => kernel.name === name);
      return [
        arch ? `${backend} ${arch}` : backend,
        name,
        numThreads,
        sharedBytes + (code?.staticSharedBytes ?? 0),
        code?.registers ?? 'n/a',
        code ? spillBytes(code) : 'n/a',
      ];
    }),
  );
  const totals = [
    `window ${humanBytes(plan.windowBytes)} a rank`,
    ...reports.map(
      ({ backend, addonBytes, seconds }) =>
        `${backend} addon ${humanBytes(addonBytes)}, ${seconds.toFixed(1)} s`,
    ),
  ];
  return {
    lines: [pc.bold(spec.name), ...tableLines(columns, rows), totals.join(' · ')],
    records: reports.map(({ kernels, text: _, ...report }) => ({
      ...report,
      windowBytes: plan.windowBytes,
      kernels: launches.map((launch) => ({
        ...launch,
        ...kernels?.find(({ name }) => name === launch.name),
      })),
    })),
  };
}
