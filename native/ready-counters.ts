import type { ArenaBlock } from './arena-block.js';
import { highThroughputOf } from './high-throughput.js';
import type { WindowState } from './window-state.js';

/**
 * What a kernel of one's own takes to start on the first rows of a dispatch, on another stream than the dispatch:
 * the fields of `ready::Dispatch` in the generated `ready.cuh`.
 */
export interface ReadyCounters {
  /** Device address of the rank's window. */
  readonly pointer: bigint;
  /** Device address of the handle. */
  readonly handle: bigint;
  /** Which dispatch of the window it is, from 1. */
  readonly target: number;
  readonly rank: number;
}

/** Those of the window's dispatch number `sequence`, where the spec has them; null in a capture, whose replays count on. */
export function readyOf(
  { rank, base }: WindowState,
  handle: ArenaBlock,
  sequence: number,
): { readonly ready?: ReadyCounters | null } {
  const { capture } = rank.group;
  if (!highThroughputOf(rank.group).readyCounters) return {};
  if (capture !== undefined) return { ready: null };
  const target = (sequence + 1) >>> 0;
  return { ready: { pointer: base, handle: handle.pointer, target, rank: rank.idx } };
}
