/** A range of a rank's arena. The same address taken again is another allocation. */
export interface Allocation {
  /** 256-byte aligned. */
  readonly pointer: bigint;
  readonly numBytes: number;
  /** Set by the rank, once and for all. */
  isFreed: boolean;
}
