import { DTYPES } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import type { LowLatencyCombineArguments } from './low-latency-combine-arguments.js';
import { lowLatencyHandleBytes } from './low-latency-handle.js';
import { lowLatencyOutputRegion, nextLowLatencyOutputOffset } from './low-latency-output-window.js';
import type { RankState } from './rank-state.js';
import type { WindowState } from './window-state.js';

interface Range {
  readonly pointer: bigint;
  readonly numBytes: number;
}

/** Whether the call's x is the input buffer of its combine, so that peers read it where it lies. A cast needs a copy. */
export function isInPlace({ handle, x, lowLatency }: LowLatencyCombineArguments): boolean {
  if (lowLatency.combineDtype !== 'bf16') return false;
  return x.storage.pointer === nextInput(handle.window).pointer;
}

/**
 * Refuses a combine where one part of it is written while another one is read, on this rank or by peers: only addresses of
 * the caller's can lie so.
 */
export function assertApart(rank: RankState, args: LowLatencyCombineArguments, path: string): void {
  assertStageable(args, xRange(rank, args), path);
  if (args.out === undefined) return;
  const out = {
    pointer: args.out.storage.pointer,
    numBytes: args.handle.numTokens * rank.group.dims.hidden * DTYPES.bf16.bytes,
  };
  for (const [name, range] of Object.entries(rangesRead(rank, args))) {
    if (overlap(out, range)) throw overlapping(`${path}${name}, which the call reads`, path);
  }
  // Whichever of them: peers may be reading the last ones, and the next ones may hold outputs already.
  if (rank.windows.some((window) => overlap(out, allInputs(window)))) {
    throw overlapping('the input buffers of low-latency combines, which peers read', path);
  }
}

/** Refuses rows that are to be copied over themselves. */
function assertStageable(args: LowLatencyCombineArguments, x: Range, path: string): void {
  if (isInPlace(args) || !overlap(x, nextInput(args.handle.window))) return;
  const isCast = args.lowLatency.combineDtype !== 'bf16';
  throw new EpgenArgumentError(
    `Expected ${path}x to lie apart from the input buffer of the combine, to which its rows are copied, but they overlap`,
    {
      hint: isCast
        ? 'Give a tensor of rank.tensor.'
        : 'Give what rank.getNextLowLatencyCombineBuffer(handle) gives as it is, which is not copied, or a tensor of rank.tensor.',
    },
  );
}

function overlapping(what: string, path: string): EpgenArgumentError {
  return new EpgenArgumentError(`Expected ${path}out to lie apart from ${what}, but they overlap`, {
    hint: 'Give a tensor of rank.tensor for the sums, or no out.',
  });
}

/**
 * What is read of the rank's memory while sums may be written, by the names of the call's arguments. An x that is copied
 * was read by then.
 */
function rangesRead(
  rank: RankState,
  args: LowLatencyCombineArguments,
): Readonly<Record<string, Range>> {
  const { handle, topkWeights } = args;
  const { numTokens, block } = handle;
  return {
    ...(isInPlace(args) ? { x: xRange(rank, args) } : {}),
    topkWeights: {
      pointer: topkWeights.storage.pointer,
      numBytes: numTokens * rank.group.dims.numTopk * DTYPES.f32.bytes,
    },
    handle: { pointer: block.pointer, numBytes: lowLatencyHandleBytes(rank, numTokens) },
  };
}

function xRange(rank: RankState, { x, lowLatency }: LowLatencyCombineArguments): Range {
  const { numLocalExperts, hidden } = rank.group.dims;
  const numRows = numLocalExperts * lowLatency.maxRecvTokens;
  return { pointer: x.storage.pointer, numBytes: numRows * hidden * DTYPES.bf16.bytes };
}

function nextInput(window: WindowState): Range {
  const { bytes } = lowLatencyOutputRegion(window);
  return { pointer: window.base + nextLowLatencyOutputOffset(window), numBytes: bytes };
}

function allInputs(window: WindowState): Range {
  const { offset, stride, numBuffers } = lowLatencyOutputRegion(window);
  return { pointer: window.base + BigInt(offset), numBytes: stride * numBuffers };
}

function overlap(one: Range, other: Range): boolean {
  if (one.numBytes === 0 || other.numBytes === 0) return false;
  return (
    one.pointer < other.pointer + BigInt(other.numBytes) &&
    other.pointer < one.pointer + BigInt(one.numBytes)
  );
}
