import { at, increment } from './at.js';
import { floatFromBf16 } from './bf16.js';
import type { Indices } from './bits.js';
import { castToFp8 } from './cast.js';
import { type Routing, selections } from './routing.js';
import { type ScaleShape, scaleIndex, scaleLength } from './scales.js';

/** Elements that share a scale, wherever low-latency kernels cast. */
export const lowLatencyScaleBlock = 128;

/** The cast to fp8 that a dispatch makes on the way. */
export interface LowLatencyCast {
  readonly scaleDtype: 'f32' | 'ue8m0';
  /** Whether f32 scales are rounded up to powers of two; those of UE8M0 always are. Default: false. */
  readonly roundScales?: boolean;
  /** Where the scales of one expert's rows lie. */
  readonly scales: ScaleShape;
}

export interface LowLatencyInput<I extends Indices = Indices> {
  readonly numTokens: number;
  /** bf16 bits [T][hidden]. */
  readonly x: Uint16Array;
  /** i64 or i32 [T][topk]; −1, or any index outside [0, experts), selects nothing. */
  readonly topkIdx: I;
}

export interface LowLatencyDispatchReferenceCall extends Routing {
  readonly hidden: number;
  /** M: rows that each expert keeps for each source. */
  readonly maxTokensPerRank: number;
  /** Default: rows arrive as they were sent. */
  readonly cast?: LowLatencyCast;
  /** One entry for each rank. */
  readonly perRank: readonly LowLatencyInput[];
}

/**
 * What one rank receives: rows by local expert, of each by source rank, then by source token. Of the R·M rows of an expert
 * the first `numTokensPerExpert` are defined; others are zeros here and anything on a device.
 */
export interface LowLatencyOutput {
  /** bf16 or fp8 bits [experts / ranks][R·M][hidden]. */
  readonly x: Uint16Array | Uint8Array;
  /** [experts / ranks] times what the cast's `scales` say for R·M rows. */
  readonly xScales?: Uint32Array;
  /** i32 [experts / ranks]: tokens that chose the expert; one that names it twice counts once. */
  readonly numTokensPerExpert: Int32Array;
  /** i64 [experts / ranks][R]: of each source the first of its rows · 2³² + how many. */
  readonly layoutRange: BigInt64Array;
  /** i32 [experts / ranks][R·M]: the token's index on its source rank. */
  readonly srcIdx: Int32Array;
  /**
   * i32 [T][topk], of the rank's own tokens: (owner · experts / ranks + local expert) · R·M + row, −1 where nothing is
   * selected. A choice that the token repeats has the same slot.
   */
  readonly slot: Int32Array;
}

/** The model of low-latency dispatch on all ranks at once. */
export function lowLatencyDispatchReference(
  call: LowLatencyDispatchReferenceCall,
): LowLatencyOutput[] {
  const { ranks, experts, topk, perRank } = call;
  const chosen = perRank.map(({ topkIdx }) => selections(call, topkIdx));
  const numLocalExperts = experts / ranks;
  const slots = perRank.map(({ topkIdx }) => new Int32Array(topkIdx.length).fill(-1));
  return perRank.map((_, owner) => {
    const received = emptyRows(call);
    for (let localExpert = 0; localExpert < numLocalExperts; localExpert++) {
      const expert = owner * numLocalExperts + localExpert;
      perRank.forEach((input, src) => {
        const begin = at(received.numTokensPerExpert, localExpert);
        for (let tokenIdx = 0; tokenIdx < input.numTokens; tokenIdx++) {
          const first = tokenIdx * topk;
          const choices = at(chosen, src).slice(first, first + topk);
          if (!choices.includes(expert)) continue;
          const row = at(received.numTokensPerExpert, localExpert);
          increment(received.numTokensPerExpert, localExpert);
          receiveRow(call, received, { localExpert, row, input, tokenIdx });
          choices.forEach((choice, k) => {
            if (choice === expert) at(slots, src)[first + k] = expert * numRows(call) + row;
          });
        }
        const count = at(received.numTokensPerExpert, localExpert) - begin;
        received.layoutRange[localExpert * ranks + src] = (BigInt(begin) << 32n) | BigInt(count);
      });
    }
    return { ...received, slot: at(slots, owner) };
  });
}

type ReceivedRows = Omit<LowLatencyOutput, 'slot'>;

/** R·M: of one expert. */
function numRows({ ranks, maxTokensPerRank }: LowLatencyDispatchReferenceCall): number {
  return ranks * maxTokensPerRank;
}

function emptyRows(call: LowLatencyDispatchReferenceCall): ReceivedRows {
  const { ranks, hidden, cast } = call;
  const numLocalExperts = call.experts / ranks;
  const rows = numLocalExperts * numRows(call);
  return {
    x: cast === undefined ? new Uint16Array(rows * hidden) : new Uint8Array(rows * hidden),
    ...(cast && {
      xScales: new Uint32Array(numLocalExperts * scaleLength(cast.scales, numRows(call))),
    }),
    numTokensPerExpert: new Int32Array(numLocalExperts),
    layoutRange: new BigInt64Array(numLocalExperts * ranks),
    srcIdx: new Int32Array(rows),
  };
}

/** One token's row at one expert. */
interface Arrival {
  readonly localExpert: number;
  readonly row: number;
  readonly input: LowLatencyInput;
  readonly tokenIdx: number;
}

function receiveRow(
  call: LowLatencyDispatchReferenceCall,
  { x, xScales, srcIdx }: ReceivedRows,
  { localExpert, row, input, tokenIdx }: Arrival,
): void {
  const { hidden, cast } = call;
  const rowOfAll = localExpert * numRows(call) + row;
  const sent = input.x.subarray(tokenIdx * hidden, (tokenIdx + 1) * hidden);
  srcIdx[rowOfAll] = tokenIdx;
  if (cast === undefined || xScales === undefined) {
    x.set(sent, rowOfAll * hidden);
    return;
  }
  const { scales, ...rounding } = cast;
  const blocks = { hidden, scaleBlock: lowLatencyScaleBlock, ...rounding };
  const fp8 = castToFp8(Float32Array.from(sent, floatFromBf16), blocks);
  x.set(fp8.x, rowOfAll * hidden);
  const first = localExpert * scaleLength(scales, numRows(call));
  fp8.xScales.forEach((word, i) => {
    xScales[first + scaleIndex(scales, row, i)] = word;
  });
}
