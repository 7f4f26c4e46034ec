import type { Call } from './calls.js';
import { HighThroughputRank } from './high-throughput.js';
import { LowLatencyRank } from './low-latency.js';
import { isLowLatency } from './low-latency-calls.js';
import { LowLatencyHost } from './low-latency-host.js';
import type { Model } from './model.js';
import type { RankProgram } from './steps.js';

/** What every rank does, step by step, when the group makes these calls. */
export function programs(model: Model, calls: readonly Call[]): RankProgram[] {
  const host = new LowLatencyHost(model);
  const orders = calls.map((call) => (isLowLatency(call) ? host.take(call) : undefined));
  return Array.from({ length: model.ranks }, (_, rank) => {
    const highThroughput = new HighThroughputRank(model, rank);
    const lowLatency = new LowLatencyRank(model, rank);
    return {
      phases: calls.flatMap((call, i) => {
        highThroughput.call = i;
        lowLatency.call = i;
        if (!isLowLatency(call)) return highThroughput.phasesOf(call);
        return (orders[i]?.[rank] ?? []).flatMap((order) => lowLatency.phasesOf(order));
      }),
    };
  });
}
