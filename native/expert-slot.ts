import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import type { HandleParts } from './handle.js';
import type { RankState } from './rank-state.js';
import type { Storage } from './storage.js';
import { type AnyTensor, Tensor, usableStorage } from './tensor.js';

/** Whose selections the slots of `rank.expertMajor` are. */
const handles = new WeakMap<AnyTensor, HandleParts>();

export function rememberSlot(slot: AnyTensor, handle: HandleParts): void {
  handles.set(slot, handle);
}

/** Where the rows by expert of a dispatch lie among each other. */
export interface ExpertSlot {
  readonly storage: Storage;
  /** Rows by expert, padding included. */
  readonly numExpertRows: number;
  /** Throws where the slots are not usable any more. */
  recheck(): void;
}

/** Checks that a combine's `expertMajor` belongs to its handle. */
export function checkExpertSlot(
  rank: RankState,
  handle: HandleParts,
  value: unknown,
  name: string,
): ExpertSlot | undefined {
  if (value === undefined || value === null) return undefined;
  const slot = (value as Readonly<Record<string, unknown>>).slot;
  const owner = slot instanceof Tensor ? handles.get(slot) : undefined;
  if (!(slot instanceof Tensor) || owner === undefined) {
    throw new EpgenArgumentError(
      `Expected ${name} to be what rank.expertMajor gave rank ${rank.idx} but received ${describe(value)}`,
    );
  }
  if (owner !== handle) {
    const whose = owner.rank === rank ? 'another dispatch' : `rank ${owner.rank.idx}`;
    throw new EpgenArgumentError(
      `Expected ${name} to be of the same dispatch as the handle but received that of ${whose}`,
    );
  }
  const storage = usableStorage(slot, `${name}.slot`);
  return {
    storage,
    numExpertRows: numExpertRowsOf(handle),
    recheck: () => void usableStorage(slot, `${name}.slot`),
  };
}

/** Rows that selections of a dispatch's received rows take, padding included. */
export function numExpertRowsOf({ numTokensPerExpert }: HandleParts): number {
  return numTokensPerExpert?.reduce((sum, count) => sum + count, 0) ?? 0;
}
