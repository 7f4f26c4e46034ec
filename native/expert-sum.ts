import type { CheckedRows } from './arguments.js';
import { EpgenArgumentError } from './errors.js';
import type { ExpertSlot } from './expert-slot.js';
import type { HandleParts } from './handle.js';
import { localGrid } from './local-grid.js';
import { nextOutputOffset } from './output-window.js';

/** Rows by expert, and how they lie. */
export interface ExpertRows {
  readonly x: CheckedRows;
  readonly slot: ExpertSlot;
}

/** Refuses rows that the sums of a combine can't be made of. */
export function assertExpertRows(
  { window }: HandleParts,
  { x, slot }: ExpertRows,
  name: string,
): void {
  if (x.numRows !== slot.numExpertRows) {
    throw new EpgenArgumentError(
      `Expected ${name} to have ${slot.numExpertRows} rows, those of expertMajor, but received ${x.numRows}`,
    );
  }
  const { place } = x.storage;
  if (place?.window !== window || place.offset !== nextOutputOffset(window)) return;
  throw new EpgenArgumentError(
    `Expected ${name} to be a tensor of its own but received that of combineInput, where the sums of expertMajor go`,
  );
}

/** Sums rows by expert to rows as they were received, where peers will read them: at `offset`. */
export function sumExperts(
  { rank, window, numRecvTokens = 0 }: HandleParts,
  { x, slot }: ExpertRows,
  offset: bigint,
  stream: number,
): bigint {
  const call = {
    numRows: numRecvTokens,
    numExpertRows: slot.numExpertRows,
    y: x.storage.pointer,
    slot: slot.storage.pointer,
    sums: window.base + offset,
    grid: localGrid(rank, numRecvTokens),
    stream,
  };
  const pending = rank.group.callSync((raw) => raw.expertSum(rank.idx, call));
  // The combine behind it fails as it does.
  pending.catch(() => undefined);
  return offset;
}
