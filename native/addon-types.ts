/** What a compiled addon exports. Its calls report errors as `Error` objects with `code` and `detail`. */
export interface RawAddon {
  readonly name: string;
  readonly specHash: string;
  readonly backend: 'cpu' | 'cuda';
  openGroup(options: RawGroupOptions): RawGroup;
}

export interface RawGroupOptions {
  readonly seed: bigint;
  readonly deadlineMs: number;
  readonly firstDeadlineMs: number;
}

export interface RawDispatchCall {
  readonly numTokens: number;
  readonly x: bigint;
  readonly topkIdx: bigint;
  readonly topkWeights: bigint;
  readonly handle: bigint;
  readonly buffer: number;
  readonly grid: number;
}

export interface RawCombineCall {
  readonly numTokens: number;
  readonly handle: bigint;
  readonly out: bigint;
  readonly inputOffset: bigint;
  readonly grid: number;
}

export interface RawDispatchLayoutCall {
  readonly numTokens: number;
  readonly topkIdx: bigint;
  readonly numTokensPerRank: bigint;
  readonly numTokensPerExpert: bigint;
  readonly isTokenInRank: bigint;
}

export interface RawCounts {
  readonly numRecvTokens: number;
  readonly numTokensPerExpert: Int32Array;
}

export interface RawCounters {
  readonly dispatch: number;
  readonly combine: number;
  readonly dispatchLayout: number;
}

/** The ranks of this process. A rank's work runs in the order in which it was enqueued. */
export interface RawGroup {
  /** A 256-byte aligned block of the rank's arena. */
  alloc(rank: number, bytes: number): bigint;
  free(rank: number, pointer: bigint): void;
  /** Has JavaScript's collector find at once what is not referred to any more. */
  collectGarbage(): void;
  windowBase(rank: number): bigint;
  arenaBase(rank: number): bigint;
  /** Copies `bytes` before it returns; they arrive in the rank's order. */
  write(rank: number, pointer: bigint, bytes: Uint8Array): Promise<void>;
  fill(rank: number, pointer: bigint, numBytes: number, value: number): Promise<void>;
  read(rank: number, pointer: bigint, numBytes: number): Promise<ArrayBuffer>;
  copy(rank: number, to: bigint, from: bigint, numBytes: number): void;
  /** With `wait`, resolves when the counts are known; without, returns nothing. */
  dispatch(rank: number, call: RawDispatchCall & { readonly wait: true }): Promise<RawCounts>;
  dispatch(rank: number, call: RawDispatchCall & { readonly wait: false }): undefined;
  /** Resolves when the kernel has ended. */
  combine(rank: number, call: RawCombineCall): Promise<void>;
  dispatchLayout(rank: number, call: RawDispatchLayoutCall): Promise<void>;
  /** Resolves when the rank has done everything enqueued so far. */
  synchronize(rank: number): Promise<void>;
  /** Keeps the rank busy for a while of virtual time. */
  delay(rank: number, virtualNs: number): void;
  /** What is called between `hold` and `release` starts together, where the backend can arrange it. */
  hold(): void;
  release(): void;
  /** Makes an aborted group usable, as if every rank had made `epoch` calls. */
  reset(epoch: number): Promise<void>;
  /** Kernels launched so far, per rank. */
  counters(): readonly RawCounters[];
  /** Aborts what runs; idempotent. */
  dispose(): Promise<void>;
}

/** One wait that was given up. */
export interface RawWaitRecord {
  readonly op: string;
  readonly phase: string;
  readonly rank: number;
  /** -1 where no single peer is waited for. */
  readonly peer: number;
  /** -1 where no single channel is waited for. */
  readonly channel: number;
  readonly epoch: number;
  readonly expected: bigint | number;
  readonly seen: bigint | number;
  /** `peer`: the rank only followed another one that gave up. */
  readonly reason: 'deadline' | 'peer';
}

export interface RawTimeoutDetail {
  readonly kind: 'timeout';
  readonly records: readonly RawWaitRecord[];
  readonly waitedMs: number;
  /** Ranks that launched nothing which matches the call. */
  readonly idleRanks: readonly number[];
}

export interface RawExpertIndexDetail {
  readonly kind: 'expert-index';
  readonly rank: number;
  readonly token: number;
  readonly k: number;
  readonly value: bigint | number;
}
