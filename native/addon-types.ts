/** What a compiled addon exports. Its calls report errors as `Error` objects with `code` and `detail`. */
export interface RawAddon {
  readonly name: string;
  readonly specHash: string;
  readonly backend: 'cpu' | 'cuda';
  /** What its kernels were compiled for: `host`, or `sm_90a`. */
  readonly arch: string;
  /** What this machine has for the backend; null where it needs nothing. Never throws. */
  probe(): RawProbe | null;
  openGroup(options: RawGroupOptions): RawGroup;
}

export interface RawProbe {
  /** CUDA version of the driver, such as 13000; null without one. */
  readonly driver: number | null;
  /** CUDA version that the addon was built with. */
  readonly runtime: number;
  readonly devices: readonly RawDevice[];
  /** How device `[from]` reaches the memory of device `[to]`. */
  readonly links: readonly (readonly RawLink[])[];
  /** Whether it does. */
  readonly peerAccess: readonly (readonly boolean[])[];
  /** Why the driver names no devices. */
  readonly reason: string | null;
}

export type RawLink = 'self' | 'nvlink' | 'pcie' | 'none';

export interface RawDevice {
  readonly ordinal: number;
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly numSms: number;
  readonly totalBytes: number;
  readonly pciBusId: string;
}

export interface RawGroupOptions {
  readonly seed: bigint;
  readonly deadlineMs: number;
  readonly firstDeadlineMs: number;
  /** Device ordinal per rank, by default 0, 1, 2, ...; the cpu backend takes no notice. */
  readonly devices?: readonly number[];
  /** Default: 1. */
  readonly windows?: number;
}

export interface RawDispatchCall {
  /** Where the routing comes from: chosen experts, a layout, or the handle. Default: topk. */
  readonly mode?: 'topk' | 'layout' | 'cached';
  readonly numTokens: number;
  readonly x: bigint;
  readonly xScales?: bigint;
  readonly extras?: bigint;
  readonly topkIdx?: bigint;
  readonly topkWeights?: bigint;
  readonly isTokenInRank?: bigint;
  readonly numTokensPerExpert?: bigint;
  readonly handle: bigint;
  readonly buffer: number;
  readonly grid: number;
  /** Default: 1. */
  readonly expertAlignment?: number;
  /** Rows that the caller sees, padded. Default: 0, those that come. */
  readonly numWorstTokens?: number;
  /** Default: 0. */
  readonly window?: number;
  /** 0, or that of its window. Default: 0. */
  readonly stream?: number;
}

export interface RawCombineCall {
  readonly numTokens: number;
  readonly handle: bigint;
  readonly out: bigint;
  readonly inputOffset: bigint;
  readonly outWeights?: bigint;
  /** Of the weights in the window; 0n for none. */
  readonly weightsOffset?: bigint;
  readonly bias0?: bigint;
  readonly bias1?: bigint;
  readonly grid: number;
  /** Default: 0. */
  readonly window?: number;
  /** 0, or that of its window. Default: 0. */
  readonly stream?: number;
}

export interface RawDispatchLayoutCall {
  readonly numTokens: number;
  readonly topkIdx: bigint;
  readonly numTokensPerRank: bigint;
  readonly numTokensPerExpert: bigint;
  readonly isTokenInRank: bigint;
}

/** What the spec has no rows for is absent. */
export interface RawExpertMajorCall {
  readonly numRows: number;
  /** With padding. */
  readonly numExpertRows: number;
  readonly handle: bigint;
  readonly recvX: bigint;
  readonly recvXScales?: bigint;
  readonly recvExtras?: bigint;
  readonly recvTopkIdx: bigint;
  readonly recvTopkWeights: bigint;
  /** u32 [grid, local experts], which the call's kernels need for themselves. */
  readonly counts: bigint;
  readonly x: bigint;
  readonly xScales?: bigint;
  readonly extras?: bigint;
  readonly topkWeights: bigint;
  readonly slot: bigint;
  readonly grid: number;
  readonly zeroPadding: boolean;
}

export interface RawExpertSumCall {
  readonly numRows: number;
  /** With padding. */
  readonly numExpertRows: number;
  readonly y: bigint;
  readonly slot: bigint;
  readonly sums: bigint;
  readonly grid: number;
  /** Default: 0. */
  readonly stream?: number;
}

/** Which half of a low-latency call a launch is, or both. A receive comes after its send, with the same handle. */
export type RawLlPhases = 'send' | 'receive' | 'both';

export interface RawLlDispatchCall {
  readonly phases: RawLlPhases;
  readonly numTokens: number;
  /** Of a send, as `topkIdx`. */
  readonly x?: bigint;
  readonly topkIdx?: bigint;
  readonly handle: bigint;
  /** i32 [local experts], to which a receive adds what came. */
  readonly expertStats?: bigint;
  /** i64 [ranks], to which a receive adds the ns that it waited for each source. */
  readonly waitStats?: bigint;
  /** 1 for a receive alone. */
  readonly grid: number;
  /** Default: 0. */
  readonly window?: number;
  /** 0, or that of its window. Default: 0. */
  readonly stream?: number;
}

export interface RawLlCombineCall {
  readonly phases: RawLlPhases;
  readonly numTokens: number;
  readonly handle: bigint;
  /** Of a send: where the expert outputs lie in the window. */
  readonly inputOffset?: bigint;
  /** Of a receive, as `out`. */
  readonly topkWeights?: bigint;
  readonly out?: bigint;
  /** i64 [ranks], to which a receive adds the ns that it waited for each rank. */
  readonly waitStats?: bigint;
  /** 1 for a send alone. */
  readonly grid: number;
  /** Default: 0. */
  readonly window?: number;
  /** 0, or that of its window. Default: 0. */
  readonly stream?: number;
}

export interface RawLlStageCall {
  readonly handle: bigint;
  /** bf16 [local experts, ranks * tokens, hidden], of which the rows that came are taken. */
  readonly x: bigint;
  /** Where they go in the window. */
  readonly outputOffset: bigint;
  readonly grid: number;
  /** Default: 0. */
  readonly window?: number;
  /** 0, or that of its window. Default: 0. */
  readonly stream?: number;
}

export interface RawCounts {
  readonly numRecvTokens: number;
  readonly numTokensPerExpert: Int32Array;
  /** Rows of each source; empty where rows have no gaps between sources. */
  readonly numTokensPerRank: Int32Array;
}

export interface RawCounters {
  readonly dispatch: number;
  readonly combine: number;
  readonly dispatchLayout: number;
  /** Launches that send, as `llCombine`. */
  readonly llDispatch: number;
  readonly llCombine: number;
}

/**
 * The ranks of this process. What is enqueued on one stream of a rank runs in order; different streams know of each other
 * by events only. Stream 0 is the rank's own, where everything runs that names none; 1 + w is that of its window w.
 */
export interface RawGroup {
  /** Throws what a group that gave up, or that is being reset, refuses calls with. */
  assertUsable(): void;
  /** A 256-byte aligned block of the rank's arena. */
  alloc(rank: number, bytes: number): bigint;
  free(rank: number, pointer: bigint): void;
  /** Has JavaScript's collector find at once what is not referred to any more. */
  collectGarbage(): void;
  windowBase(rank: number, window?: number): bigint;
  arenaBase(rank: number): bigint;
  /** Copies `bytes` before it returns; they arrive in the rank's order. */
  write(rank: number, pointer: bigint, bytes: Uint8Array): Promise<void>;
  fill(rank: number, pointer: bigint, numBytes: number, value: number): Promise<void>;
  read(rank: number, pointer: bigint, numBytes: number): Promise<ArrayBuffer>;
  copy(rank: number, to: bigint, from: bigint, numBytes: number, stream?: number): void;
  /** With `wait`, resolves when the counts are known; without, returns nothing. */
  dispatch(rank: number, call: RawDispatchCall & { readonly wait: true }): Promise<RawCounts>;
  dispatch(rank: number, call: RawDispatchCall & { readonly wait: false }): undefined;
  /** Resolves when the kernel has ended. */
  combine(rank: number, call: RawCombineCall): Promise<void>;
  dispatchLayout(rank: number, call: RawDispatchLayoutCall): Promise<void>;
  /** Resolve when the kernels have ended. */
  expertMajor(rank: number, call: RawExpertMajorCall): Promise<void>;
  expertSum(rank: number, call: RawExpertSumCall): Promise<void>;
  /** A wrong index is told as that of a dispatch without `wait`. */
  llDispatch(rank: number, call: RawLlDispatchCall): void;
  /** Resolves when the kernel has ended. A send alone returns nothing: who reads next is told why it failed. */
  llCombine(
    rank: number,
    call: RawLlCombineCall & { readonly phases: 'receive' | 'both' },
  ): Promise<void>;
  llCombine(rank: number, call: RawLlCombineCall & { readonly phases: 'send' }): undefined;
  /** Copies rows to where a combine reads them, as it reads them. */
  llStage(rank: number, call: RawLlStageCall): void;
  /** Resolves when the rank has done everything enqueued so far. */
  synchronize(rank: number): Promise<void>;
  /** Keeps the rank busy for a while: of virtual time on the cpu backend. */
  delay(rank: number, virtualNs: number, stream?: number): void;
  openStream(rank: number): number;
  /** A `cudaStream_t`, always under the same number; throws EPGEN_UNSUPPORTED on the cpu backend. */
  importStream(rank: number, pointer: bigint): number;
  /** Of one from `openStream`; its number may come again. */
  closeStream(rank: number, stream: number): void;
  /** What the stream has so far. Events of a rank are numbered from 1. */
  recordEvent(rank: number, stream: number): number;
  waitEvent(rank: number, stream: number, event: number): void;
  /** What is called between `hold` and `release` starts together, where the backend can arrange it. */
  hold(): void;
  release(): void;
  /** Records the collective calls and copies that follow instead of making them; gives the number of their graph. */
  beginCapture(): number;
  /** Resolves when the graph can be replayed; where it can't be made, it still has to be freed. */
  endCapture(): Promise<void>;
  cancelCapture(): void;
  /** Enqueues a graph on all ranks. */
  replay(graph: number): void;
  /** What was enqueued before goes on. */
  freeGraph(graph: number): void;
  /**
   * Makes an aborted group usable, as if every rank had made `epoch` calls of each kind: a multiple of 8 where there are
   * low-latency calls.
   */
  reset(epoch: number): Promise<void>;
  /** Kernels launched so far, per rank. */
  counters(): readonly RawCounters[];
  /** Null where the rank's calls may use the memory, else what is there. */
  refusal(rank: number, pointer: bigint, numBytes: number): string | null;
  // What follows throws EPGEN_UNSUPPORTED on the cpu backend.
  /** Names of the CUDA calls made since the group was opened, each once. */
  cudaCalls(): readonly string[];
  /** The `cudaStream_t` of one of the rank's streams, by default its own. Throws while calls wait to get onto streams. */
  stream(rank: number, stream?: number): bigint;
  /** Takes the time at this place of the rank's order; gives the event's number, below 4096 and then from 0 again. */
  event(rank: number): number;
  /** Time between two events that the rank has passed. */
  elapsedMs(rank: number, from: number, to: number): number;
  /** Makes all ranks go on from here at one time, on the devices themselves. */
  startBarrier(): void;
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

export interface RawWorstTokensDetail {
  readonly kind: 'worst-tokens';
  readonly rank: number;
  readonly numWorstTokens: number;
  readonly numRecvTokens: number;
}

export interface RawExpertIndexDetail {
  readonly kind: 'expert-index';
  readonly rank: number;
  readonly token: number;
  readonly k: number;
  readonly value: bigint | number;
}
