import {
  assertCall,
  assertTokens,
  checkBoolean,
  checkNumChannels,
  checkRows,
} from './arguments.js';
import { EpgenArgumentError, EpgenUnsupportedError } from './errors.js';
import type { RankState } from './rank-state.js';
import type { Storage } from './storage.js';

const KEYS = ['x', 'topkIdx', 'topkWeights', 'numChannels', 'copy'];

/** A dispatch call that was found right. */
export interface DispatchArguments {
  readonly x: Storage;
  readonly topkIdx: Storage;
  readonly topkWeights: Storage;
  readonly numTokens: number;
  readonly grid: number;
  readonly copy: boolean;
  /** Throws where a tensor is not usable any more. */
  recheck(): void;
}

/** Checks a whole dispatch call. `path` leads to the call in messages, as `perRank[3].`. */
export function checkDispatch(rank: RankState, call: unknown, path: string): DispatchArguments {
  const { hidden } = rank.group.dims;
  rank.group.assertOpen();
  assertCall(path, call, KEYS);
  const x = checkRows(rank, call.x, {
    name: `${path}x`,
    dtype: 'bf16',
    rowSize: hidden,
    rowSizeName: 'hidden',
  });
  const topkIdx = checkTopkIdx(rank, call, path);
  const topkWeights = checkRows(rank, call.topkWeights, {
    name: `${path}topkWeights`,
    dtype: 'f32',
    rowSize: rank.group.dims.numTopk,
    rowSizeName: 'topk',
  });
  assertSameRows(path, 'topkIdx', topkIdx.numRows, x.numRows);
  assertSameRows(path, 'topkWeights', topkWeights.numRows, x.numRows);
  assertTokens(rank, `${path}x`, x.numRows);
  return {
    x: x.storage,
    topkIdx: topkIdx.storage,
    topkWeights: topkWeights.storage,
    numTokens: x.numRows,
    grid: checkNumChannels(rank, `${path}numChannels`, call.numChannels),
    copy: checkBoolean(`${path}copy`, call.copy),
    recheck: () => {
      for (const rows of [x, topkIdx, topkWeights]) rows.recheck();
    },
  };
}

function checkTopkIdx(rank: RankState, call: Readonly<Record<string, unknown>>, path: string) {
  const hasIdx = call.topkIdx !== undefined && call.topkIdx !== null;
  const hasWeights = call.topkWeights !== undefined && call.topkWeights !== null;
  if (hasIdx !== hasWeights) {
    throw new EpgenArgumentError(
      `Expected ${path}topkIdx and ${path}topkWeights, both or neither, but received only ${hasIdx ? 'topkIdx' : 'topkWeights'}`,
    );
  }
  if (!hasIdx) {
    throw new EpgenUnsupportedError(
      `Expected ${path}topkIdx and ${path}topkWeights: this version does not dispatch without them`,
    );
  }
  return checkRows(rank, call.topkIdx, {
    name: `${path}topkIdx`,
    dtype: 'i64',
    rowSize: rank.group.dims.numTopk,
    rowSizeName: 'topk',
  });
}

function assertSameRows(path: string, name: string, numRows: number, numTokens: number): void {
  if (numRows === numTokens) return;
  throw new EpgenArgumentError(
    `Expected ${path}${name} to have as many rows as ${path}x, ${numTokens}, but received ${numRows}`,
  );
}
