import type {
  RawAddon,
  RawCombineCall,
  RawCounts,
  RawDispatchCall,
  RawDispatchLayoutCall,
  RawExpertMajorCall,
  RawExpertSumCall,
  RawGroup,
  RawLlCombineCall,
  RawLlDispatchCall,
  RawLlStageCall,
} from '../../native/addon-types.js';
import { createGroup, type Group } from '../../native/group.js';
import { GroupState } from '../../native/group-state.js';
import type { ModuleDescription, Spec } from '../../native/spec-types.js';

/** A small spec: 2 ranks, 16 elements per row, 4 experts, top-2, 8 tokens, 2 live results in 3 buffers. */
export const spec = {
  name: 'ep2_h16_bf16',
  ranks: 2,
  hidden: 16,
  experts: 4,
  topk: 2,
  dtype: 'bf16',
  scaleBlock: 128,
  scaleDtype: 'f32',
  scaleLayout: 'row',
  extraBytes: 0,
  combineDtype: 'bf16',
  topkIdx: 'i64',
  ht: {
    maxTokensPerRank: 8,
    liveResults: 2,
    credit: false,
    withoutTopk: false,
    cached: false,
    worstTokens: false,
    combineWeights: false,
    biases: 0,
    expertMajor: false,
    readyCounters: false,
  },
  ll: false,
  channels: { memory: { count: 4, placement: 'compact' }, ll: 'chip' },
} as const;

const region = (offset: number, bytes: number, numBuffers: number) => ({
  offset,
  bytes,
  stride: bytes,
  numBuffers,
});

export const description = {
  spec,
  specHash: 'f'.repeat(64),
  buildCommand: 'epgen build --ranks 2 --hidden 16',
  sizes: {
    windowBytes: 8192,
    arenaBytes: 1 << 16,
    handleBytes: 384 + 64,
    regions: {
      control: region(0, 128, 1),
      recvX: region(128, 512, 3),
      recvTopkIdx: region(1664, 256, 3),
      recvTopkWeights: region(2432, 128, 3),
      recvSrcIdx: region(2816, 128, 3),
      recvChannelPrefix: region(3200, 128, 3),
      output: region(3584, 512, 2),
    },
  },
  handle: {
    headerBytes: 384,
    fields: {
      rankPrefixMatrix: 128,
      channelPrefixMatrix: 192,
      recvChannelPrefixMatrix: 256,
      numRecvTokens: 0,
      numTokensPerExpert: 64,
    },
  },
  url: import.meta.url,
} as const satisfies ModuleDescription;

export interface Launch {
  readonly op:
    | 'dispatch'
    | 'combine'
    | 'dispatchLayout'
    | 'expertMajor'
    | 'expertSum'
    | 'llDispatch'
    | 'llCombine'
    | 'llStage';
  readonly rank: number;
  readonly call:
    | RawDispatchCall
    | RawCombineCall
    | RawDispatchLayoutCall
    | RawExpertMajorCall
    | RawExpertSumCall
    | RawLlDispatchCall
    | RawLlCombineCall
    | RawLlStageCall;
}

/** An error as the addon makes them. */
export function rawError(code: string, message: string, detail?: unknown): Error {
  return Object.assign(new Error(message), { code, detail });
}

/** Memory and launches of an addon, without kernels: tests say what a call gives. */
export class FakeRawGroup implements RawGroup {
  readonly launches: Launch[] = [];
  readonly blocks = new Map<bigint, number>();
  readonly freed: bigint[] = [];
  readonly freedGraphs: number[] = [];
  numDisposals = 0;
  numHolds = 0;
  heldLaunches = 0;
  /** What a write rejects with after it has written. */
  writeError: Error | undefined;
  resetEpochs: number[] = [];
  /** Why calls are refused, as where the group gave up; `reset` ends it. */
  refusalOfCalls: Error | undefined;
  /** What a dispatch resolves to. */
  counts: (rank: number) => Promise<RawCounts> = async () => ({
    numRecvTokens: 3,
    numTokensPerExpert: Int32Array.of(1, 2),
    numTokensPerRank: new Int32Array(),
  });
  /** What a combine resolves to. */
  combineDone: (rank: number) => Promise<void> = async () => undefined;
  /** Streams and events that the group used, as `record 1` or `2 waits for 1`. */
  readonly orders: string[] = [];
  readonly streams = new Set<number>();
  arenaLeft = description.sizes.arenaBytes;
  readonly #memory: readonly Uint8Array[] = [0, 1].map(() => new Uint8Array(1 << 20));
  #next = 8192n;
  #numEvents = 0;
  #numGraphs = 0;

  assertUsable(): void {
    if (this.refusalOfCalls !== undefined) throw this.refusalOfCalls;
  }

  alloc(rank: number, bytes: number): bigint {
    if (bytes > this.arenaLeft) throw rawError('EPGEN_ARGUMENT', `arena of rank ${rank} is full`);
    const pointer = this.windowBase(rank) + this.#next;
    this.#next += BigInt(Math.ceil(bytes / 256) * 256);
    this.blocks.set(pointer, bytes);
    return pointer;
  }

  free(_rank: number, pointer: bigint): void {
    if (!this.blocks.delete(pointer)) throw new Error(`block ${pointer} freed twice`);
    this.freed.push(pointer);
  }

  collectGarbage(): void {}

  windowBase(rank: number, window = 0): bigint {
    return (BigInt(rank + 1) << 32n) + (BigInt(window) << 18n);
  }

  arenaBase(rank: number): bigint {
    return this.windowBase(rank) + 8192n;
  }

  async write(rank: number, pointer: bigint, bytes: Uint8Array): Promise<void> {
    this.#at(rank, pointer, bytes.length).set(bytes);
    const error = this.writeError;
    this.writeError = undefined;
    if (error !== undefined) throw error;
  }

  async fill(rank: number, pointer: bigint, numBytes: number, value: number): Promise<void> {
    this.#at(rank, pointer, numBytes).fill(value);
  }

  async read(rank: number, pointer: bigint, numBytes: number): Promise<ArrayBuffer> {
    return this.#at(rank, pointer, numBytes).slice().buffer as ArrayBuffer;
  }

  copy(rank: number, to: bigint, from: bigint, numBytes: number): void {
    this.#at(rank, to, numBytes).set(this.#at(rank, from, numBytes).slice());
  }

  dispatch(rank: number, call: RawDispatchCall & { readonly wait: true }): Promise<RawCounts>;
  dispatch(rank: number, call: RawDispatchCall & { readonly wait: false }): undefined;
  dispatch(
    rank: number,
    call: RawDispatchCall & { readonly wait: boolean },
  ): Promise<RawCounts> | undefined {
    this.launches.push({ op: 'dispatch', rank, call });
    this.orders.push(`rank ${rank}: dispatch on ${call.stream}`);
    this.heldLaunches += this.numHolds;
    return call.wait ? this.counts(rank) : undefined;
  }

  combine(rank: number, call: RawCombineCall): Promise<void> {
    this.launches.push({ op: 'combine', rank, call });
    this.orders.push(`rank ${rank}: combine on ${call.stream}`);
    return this.combineDone(rank);
  }

  async expertMajor(rank: number, call: RawExpertMajorCall): Promise<void> {
    this.launches.push({ op: 'expertMajor', rank, call });
  }

  async expertSum(rank: number, call: RawExpertSumCall): Promise<void> {
    this.launches.push({ op: 'expertSum', rank, call });
  }

  async dispatchLayout(rank: number, call: RawDispatchLayoutCall): Promise<void> {
    this.launches.push({ op: 'dispatchLayout', rank, call });
  }

  llDispatch(rank: number, call: RawLlDispatchCall): void {
    this.launches.push({ op: 'llDispatch', rank, call });
    this.orders.push(`rank ${rank}: llDispatch ${call.phases} on ${call.stream}`);
  }

  llCombine(
    rank: number,
    call: RawLlCombineCall & { readonly phases: 'receive' | 'both' },
  ): Promise<void>;
  llCombine(rank: number, call: RawLlCombineCall & { readonly phases: 'send' }): undefined;
  llCombine(rank: number, call: RawLlCombineCall): Promise<void> | undefined {
    this.launches.push({ op: 'llCombine', rank, call });
    this.orders.push(`rank ${rank}: llCombine ${call.phases} on ${call.stream}`);
    return call.phases === 'send' ? undefined : this.combineDone(rank);
  }

  llStage(rank: number, call: RawLlStageCall): void {
    this.launches.push({ op: 'llStage', rank, call });
    this.orders.push(`rank ${rank}: llStage on ${call.stream}`);
  }

  async synchronize(): Promise<void> {}

  beginCapture(): number {
    this.#numGraphs += 1;
    return this.#numGraphs;
  }

  async endCapture(): Promise<void> {}

  cancelCapture(): void {}

  replay(): void {}

  freeGraph(graph: number): void {
    this.freedGraphs.push(graph);
  }

  hold(): void {
    this.numHolds += 1;
  }

  release(): void {
    this.numHolds -= 1;
  }

  delay(): void {}

  openStream(): number {
    const stream = 5 + this.streams.size;
    this.streams.add(stream);
    return stream;
  }

  importStream(): number {
    throw rawError('EPGEN_UNSUPPORTED', 'no devices');
  }

  closeStream(_rank: number, stream: number): void {
    this.orders.push(`close ${stream}`);
  }

  recordEvent(rank: number, stream: number): number {
    this.#numEvents += 1;
    this.orders.push(`rank ${rank}: event ${this.#numEvents} on ${stream}`);
    return this.#numEvents;
  }

  waitEvent(rank: number, stream: number, event: number): void {
    this.orders.push(`rank ${rank}: ${stream} waits for event ${event}`);
  }

  async reset(epoch: number): Promise<void> {
    this.resetEpochs.push(epoch);
    this.refusalOfCalls = undefined;
  }

  counters() {
    return [];
  }

  refusal(): string | null {
    return 'no memory of the test';
  }

  cudaCalls(): readonly string[] {
    throw rawError('EPGEN_UNSUPPORTED', 'no devices');
  }

  stream(): bigint {
    throw rawError('EPGEN_UNSUPPORTED', 'no devices');
  }

  event(): number {
    throw rawError('EPGEN_UNSUPPORTED', 'no devices');
  }

  elapsedMs(): number {
    throw rawError('EPGEN_UNSUPPORTED', 'no devices');
  }

  startBarrier(): void {
    throw rawError('EPGEN_UNSUPPORTED', 'no devices');
  }

  async dispose(): Promise<void> {
    this.numDisposals += 1;
  }

  #at(rank: number, pointer: bigint, numBytes: number): Uint8Array {
    const start = Number(pointer - this.windowBase(rank));
    const memory = this.#memory[rank];
    if (memory === undefined || start < 0 || start + numBytes > memory.length) {
      throw new Error(`address ${pointer} is not of rank ${rank}`);
    }
    return memory.subarray(start, start + numBytes);
  }
}

export function fakeAddon(raw: RawGroup, specHash: string = description.specHash): RawAddon {
  return {
    name: spec.name,
    specHash,
    backend: 'cpu',
    arch: 'host',
    probe: () => null,
    openGroup: () => raw,
  };
}

/** A group over fake memory. */
export function openFake(numWindows = 1): {
  readonly group: Group<typeof spec>;
  readonly raw: FakeRawGroup;
} {
  return openFakeOf<typeof spec>(description, numWindows);
}

/** A group of another spec over fake memory. */
export function openFakeOf<S extends Spec>(
  module: ModuleDescription<S>,
  numWindows = 1,
): { readonly group: Group<S>; readonly raw: FakeRawGroup } {
  const raw = new FakeRawGroup();
  const state = new GroupState(module, raw, { backend: 'cpu', numWindows });
  return { group: createGroup<S>({ state, devices: [0, 1], backendReason: 'a test' }), raw };
}

type TestGroup = Group<typeof spec>;

/** Right arguments of a dispatch of `numTokens` tokens on one rank. */
export function dispatchCall(group: TestGroup, rankIdx: number, numTokens = 2) {
  const rank = rankAt(group, rankIdx);
  return {
    x: rank.tensor('bf16', [numTokens, 16]),
    topkIdx: rank.tensor('i64', [numTokens, 2], new Array<number>(numTokens * 2).fill(0)),
    topkWeights: rank.tensor('f32', [numTokens, 2]),
  };
}

export function rankAt(group: TestGroup, rankIdx: number): TestGroup['ranks'][number] {
  const rank = group.ranks[rankIdx];
  if (rank === undefined) throw new Error(`no rank ${rankIdx}`);
  return rank;
}

/** Dispatches on both ranks; gives what rank 0 received. */
export async function dispatchBoth(group: TestGroup) {
  const [first] = await group.dispatch(group.ranks.map(({ index }) => dispatchCall(group, index)));
  if (first === undefined) throw new Error('nothing received');
  return first;
}
