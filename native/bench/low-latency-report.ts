import type { LowLatencyBenchResult } from './low-latency.js';
import { table } from './report.js';

/** Lines of at most 100 columns that tell a result. */
export function lowLatencyReportLines(result: LowLatencyBenchResult): string[] {
  const { spec, machine, lines, wire, numWindows, empty } = result;
  const gpu = machine.gpus[0]?.name ?? 'unknown GPU';
  const rows = lines.map((line) => {
    const share =
      line.wireUs === null ? '' : `${((100 * line.wireUs) / line.us.median).toFixed(0)} %`;
    return [
      ...[String(line.numTokens), line.operation, line.launch],
      ...[line.us.median, line.us.p99, line.us.min].map((us) => us.toFixed(1)),
      ...[line.gbPerS.toFixed(0), line.wireUs?.toFixed(1) ?? '', share],
    ];
  });
  return [
    `${spec.name}: ${spec.ranks} × ${gpu}, driver ${machine.driver ?? 'unknown'}`,
    `top-${spec.topk} of ${spec.experts}, uniform; ${numWindows} routings of ${(lines[0]?.us.count ?? 0) / numWindows} rounds`,
    '',
    ...table(3, ['tokens', '', '', 'µs', 'p99', 'least', 'GB/s', 'wire µs', 'of wire'], rows),
    '',
    `µs: slowest rank, median; an empty kernel takes ${empty.median.toFixed(1)} of it, but in a graph of 16.`,
    "GB/s: all selections, as DeepEP counts; wire: what leaves a rank, at the wire's best rate.",
    ...(wire === null ? ['The wire was not measured: no --probe was given.'] : []),
    ...(result.dirty.length > 0 ? [`${result.dirty.length} files differ from the commit.`] : []),
  ];
}
