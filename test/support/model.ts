import {
  type Bits,
  type DispatchInput,
  type DispatchOutput,
  type DispatchShape,
  dispatchReference,
  type Indices,
  type Routing,
} from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';

/** What the model has to know of a spec. */
export function shapeOf(spec: Spec): Routing & DispatchShape {
  const { ranks, experts, topk, hidden, extraBytes, ht, channels } = spec;
  const { count, placement } = channels.memory;
  return {
    ...{ ranks, experts, topk, hidden, extraBytes, numChannels: count },
    ...(ht && placement === 'slotted' ? { slotTokens: ht.maxTokensPerRank } : {}),
    ...(spec.dtype === 'fp8_e4m3' ? { scales: scalesOf(spec) } : {}),
  };
}

/** What the model says about this dispatch. */
export function expectedOutputs<X extends Bits, I extends Indices>(
  spec: Spec,
  inputs: readonly DispatchInput<X, I>[],
): DispatchOutput<X, I>[] {
  return dispatchReference({ ...shapeOf(spec), perRank: inputs });
}

function scalesOf({ hidden, scaleBlock, scaleDtype, scaleLayout, ranks, ht }: Spec) {
  const words = Math.ceil(hidden / (scaleDtype === 'ue8m0' ? 4 * scaleBlock : scaleBlock));
  if (!ht || scaleLayout === 'row') return { words };
  return { words, columnWords: Math.ceil((ranks * ht.maxTokensPerRank) / 4) * 4 };
}
