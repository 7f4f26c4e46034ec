import { EpgenError } from '../../generator/errors.js';
import { lowLatencyPlan } from '../../generator/low-latency-plan.js';
import type { Spec } from '../../generator/spec.js';

/** Of all ranks. With more, the orders of two calls are too many for any budget. */
const MAX_CHANNELS = 8;

/** @throws EpgenError EPGEN_ARGUMENT when a spec has too many orders to try them all. */
export function checkExplorable(spec: Spec): void {
  const { name, ranks, ht, channels } = spec;
  const { numLlChannels = 0 } = lowLatencyPlan(spec);
  const hint = (flags: string) =>
    `Explore a spec with ${flags} instead, or verify without --explore.`;
  const numHtChannels = ht ? channels.memory.count : 0;
  requireFew(`${name} has`, ranks * numHtChannels, hint('--ranks 2 --channels 2'));
  requireFew(
    `low-latency calls of ${name} have`,
    ranks * numLlChannels,
    hint('--ranks 2 --set channels.ll=2'),
  );
}

function requireFew(whose: string, numChannels: number, hint: string): void {
  if (numChannels <= MAX_CHANNELS) return;
  throw new EpgenError(
    `Expected at most ${MAX_CHANNELS} channels of all ranks for --explore but ${whose} ${numChannels}`,
    { code: 'EPGEN_ARGUMENT', hint },
  );
}
