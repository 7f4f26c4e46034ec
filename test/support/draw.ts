import type {
  Bits,
  DispatchInput,
  DispatchRows,
  Indices,
  SummedBits,
  SummedDtype,
} from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import { shapeOf } from './model.js';
import { type Random, randomFrom } from './random.js';
import { dispatchInputs, type RoutingOptions } from './routing.js';

/** Rows of random bits for every rank, with all that the spec lets travel beside them, routed by a pattern. */
export function drawInputs(
  spec: Spec,
  options: Pick<RoutingOptions, 'seed' | 'numTokens' | 'pattern'>,
): DispatchInput<Bits, Indices>[] {
  const { ranks, experts, topk } = spec;
  const routed = dispatchInputs({ ranks, experts, topk, hidden: 0, ...options });
  return routed.map(({ topkIdx, topkWeights, numTokens }, rank) => ({
    ...drawRows(spec, randomFrom(options.seed, rank, 0xd0), numTokens),
    topkIdx: spec.topkIdx === 'i64' ? topkIdx : Int32Array.from(topkIdx, Number),
    topkWeights,
  }));
}

/** Any bits: what dispatch moves has no meaning to it. */
export function drawRows(spec: Spec, random: Random, numTokens: number): DispatchRows {
  const { hidden, scales, extraBytes = 0 } = shapeOf(spec);
  const words = (scales?.words ?? 0) * numTokens;
  return {
    numTokens,
    x: drawBits(spec.dtype, numTokens * hidden, random),
    ...(scales === undefined
      ? {}
      : { xScales: Uint32Array.from({ length: words }, () => random(2 ** 32)) }),
    ...(extraBytes === 0 ? {} : { extras: drawBytes(numTokens * extraBytes, random) }),
  };
}

const FLOATS = {
  bf16: { mantissaBits: 7, exponentBias: 127 },
  f16: { mantissaBits: 10, exponentBias: 15 },
  f32: { mantissaBits: 23, exponentBias: 127 },
} as const;

/**
 * Numbers to sum: nearly all of like size, so that additions round; one in 16 of any bits, which may be tiny, infinite
 * or NaN.
 */
export function drawSummed<D extends SummedDtype>(
  dtype: D,
  length: number,
  random: Random,
): SummedBits[D] {
  const { mantissaBits, exponentBias } = FLOATS[dtype];
  const numBits = dtype === 'f32' ? 32 : 16;
  const bits = dtype === 'f32' ? new Uint32Array(length) : new Uint16Array(length);
  for (let i = 0; i < length; i++) {
    const any = random(2 ** numBits);
    if (random(16) === 0) {
      bits[i] = any;
      continue;
    }
    const sign = any >= 2 ** (numBits - 1) ? 2 ** (numBits - 1) : 0;
    const exponent = exponentBias - 3 + random(6);
    bits[i] = sign + exponent * 2 ** mantissaBits + (any % 2 ** mantissaBits);
  }
  return bits as SummedBits[D];
}

function drawBits(dtype: Spec['dtype'], length: number, random: Random): Bits {
  const isWide = dtype === 'bf16' || dtype === 'f16';
  return isWide ? Uint16Array.from({ length }, () => random(0x10000)) : drawBytes(length, random);
}

function drawBytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => random(0x100));
}
