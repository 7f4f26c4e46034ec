import type { RawDispatchCall } from './addon-types.js';
import { assertAsMany, checkRows, checkShaped, type PerToken } from './arguments.js';
import type { CollectiveKind } from './call-log.js';
import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { highThroughputOf } from './high-throughput.js';
import type { RankState } from './rank-state.js';

/** Where the tokens of a dispatch go, and who says so. */
export interface Routing {
  readonly mode: 'topk' | 'layout';
  readonly kind: CollectiveKind;
  readonly pointers: RoutingPointers;
  /** Throws where a tensor is not usable any more. */
  recheck(): void;
}

type RoutingPointers = Pick<
  RawDispatchCall,
  'topkIdx' | 'topkWeights' | 'isTokenInRank' | 'numTokensPerExpert'
>;

type Call = Readonly<Record<string, unknown>>;

/** Checks what a call is routed by: top-k choices, or a layout in their place. */
export function checkRouting(
  rank: RankState,
  call: Call,
  path: string,
  numTokens: number,
): Routing {
  const hasIdx = isGiven(call.topkIdx);
  const hasWeights = isGiven(call.topkWeights);
  if (hasIdx !== hasWeights) {
    throw new EpgenArgumentError(
      `Expected ${path}topkIdx and ${path}topkWeights, both or neither, but received only ${hasIdx ? 'topkIdx' : 'topkWeights'}`,
    );
  }
  const hasLayout = isGiven(call.layout);
  if (hasIdx && hasLayout) {
    throw new EpgenArgumentError(
      `Expected ${path}layout in place of ${path}topkIdx and ${path}topkWeights but received both`,
    );
  }
  const x = { name: `${path}x`, size: numTokens };
  if (hasIdx) return checkTopk(rank, call, path, x);
  if (hasLayout) return checkLayout(rank, call.layout, `${path}layout`, x);
  throw notRouted(rank, path);
}

function notRouted(rank: RankState, path: string): EpgenArgumentError {
  const topk = `${path}topkIdx and ${path}topkWeights`;
  if (highThroughputOf(rank.group).withoutTopk) {
    return new EpgenArgumentError(`Expected ${topk}, or ${path}layout, but received none of them`);
  }
  return new EpgenArgumentError(`Expected ${topk} but received neither`, {
    hint: 'To dispatch without them, set ht.withoutTopk in the spec and build again.',
  });
}

function checkTopk(rank: RankState, call: Call, path: string, x: PerToken): Routing {
  const wanted = { rowSize: rank.group.dims.numTopk, rowSizeName: 'topk' };
  const topkIdx = checkRows(rank, call.topkIdx, {
    ...wanted,
    name: `${path}topkIdx`,
    dtype: rank.group.description.spec.topkIdx,
  });
  const topkWeights = checkRows(rank, call.topkWeights, {
    ...wanted,
    name: `${path}topkWeights`,
    dtype: 'f32',
  });
  assertAsMany('rows', { name: `${path}topkIdx`, size: topkIdx.numRows }, x);
  assertAsMany('rows', { name: `${path}topkWeights`, size: topkWeights.numRows }, x);
  return {
    mode: 'topk',
    kind: 'dispatch',
    pointers: { topkIdx: topkIdx.storage.pointer, topkWeights: topkWeights.storage.pointer },
    recheck: () => {
      topkIdx.recheck();
      topkWeights.recheck();
    },
  };
}

function checkLayout(rank: RankState, layout: unknown, name: string, x: PerToken): Routing {
  if (typeof layout !== 'object' || layout === null) {
    throw new EpgenArgumentError(
      `Expected ${name} to be what getDispatchLayout gave rank ${rank.idx} but received ${describe(layout)}`,
    );
  }
  const { isTokenInRank, numTokensPerExpert } = layout as Call;
  const { numRanks, numExperts } = rank.group.dims;
  const membership = checkRows(rank, isTokenInRank, {
    name: `${name}.isTokenInRank`,
    dtype: 'u8',
    rowSize: numRanks,
    rowSizeName: 'ranks',
  });
  assertAsMany('rows', { name: `${name}.isTokenInRank`, size: membership.numRows }, x);
  const counts = checkShaped(rank, numTokensPerExpert, {
    name: `${name}.numTokensPerExpert`,
    dtype: 'i32',
    sizes: [numExperts],
    sizeNames: 'experts',
  });
  return {
    mode: 'layout',
    kind: 'dispatch from a layout',
    pointers: {
      isTokenInRank: membership.storage.pointer,
      numTokensPerExpert: counts.storage.pointer,
    },
    recheck: () => {
      membership.recheck();
      counts.recheck();
    },
  };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
