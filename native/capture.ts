import type { Allocation } from './allocation.js';
import { CallLog } from './call-log.js';
import { EpgenArgumentError } from './errors.js';
import type { GraphMemory } from './graph-memory.js';
import type { GroupState } from './group-state.js';
import type { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import { type Access, MAIN_STREAM, type Resource, type StreamOrder } from './stream-order.js';

const RESULTS_HINT = 'Make tensors before group.capture, and read results after graph.replay().';

/** One run of a captured function: what its replays do beside launching, and what they need. */
export class Capture {
  readonly memory: GraphMemory;
  readonly log: CallLog;
  /** Every call, in words. */
  readonly calls: string[] = [];
  /** Which numbers of a place the calls depend on. */
  readonly rotates = new Set<number>();
  /** What a replay does, in the order of the calls. */
  readonly #effects: (() => void)[] = [];
  /** Tensors and handles from outside that calls use, each with what throws once it is not usable any more. */
  readonly #uses = new Map<object, () => void>();
  /** What all calls of a rank read and write. */
  readonly #accesses = new Map<
    StreamOrder,
    { readonly reads: Set<Resource>; readonly writes: Set<Resource> }
  >();
  readonly #numBlocks = new Map<RankState, number>();
  /** Of the calls that were only sent. */
  readonly #receives: PendingReceive[] = [];
  #violation: EpgenArgumentError | undefined;
  #isLive = true;

  constructor(group: GroupState, memory: GraphMemory) {
    this.memory = memory;
    this.log = new CapturedLog(group, this);
    memory.setContents(true);
  }

  /** Whether views that the run made are those of the newest replay, or of the run itself while it lasts. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** The run is over; throws what it did although it must not. */
  end(): void {
    this.#isLive = false;
    this.memory.setContents(false);
    if (this.#violation !== undefined) throw this.#violation;
    const forgotten = this.#receives.find(({ isDue }) => isDue);
    if (forgotten === undefined) return;
    throw new EpgenArgumentError(
      `Expected the function of group.capture to call the hook of every call that it makes, but not that of a ${forgotten.call}`,
      {
        hint: 'A graph holds whole calls: call their hooks in the function, or make them without returnRecvHook.',
      },
    );
  }

  /** The run failed: nothing of it is replayed. */
  cancel(): void {
    for (const receive of this.#receives) if (receive.isDue) receive.giveUp();
  }

  /** A call was only sent: its hook has to be called before the run ends. */
  awaitHook(receive: PendingReceive): void {
    this.#receives.push(receive);
  }

  /** Notes what a call reads and writes. */
  access(order: StreamOrder, { reads, writes }: Access): void {
    const all = this.#accesses.get(order) ?? { reads: new Set(), writes: new Set() };
    this.#accesses.set(order, all);
    for (const resource of reads) all.reads.add(resource);
    for (const resource of writes) all.writes.add(resource);
  }

  /** Runs `work`, which enqueues all calls, after all that they depend on. */
  perform(work: () => void): void {
    let inOrder = work;
    for (const [order, { reads, writes }] of this.#accesses) {
      const inner = inOrder;
      const access = { reads: [...reads], writes: [...writes] };
      inOrder = () => order.perform(MAIN_STREAM, () => access, inner);
    }
    inOrder();
  }

  /** Has every replay do something at this place of the sequence. */
  onReplay(effect: () => void): void {
    this.#effects.push(effect);
  }

  /** Throws where something that calls use is not usable any more, or what they write is still needed. */
  assertUsable(): void {
    this.memory.assertNotKept();
    for (const recheck of this.#uses.values()) recheck();
  }

  /** The calls were enqueued. */
  replayed(): void {
    for (const effect of this.#effects) effect();
    this.#isLive = true;
    this.memory.setContents(true);
  }

  /** Notes that calls use `thing`, where it does not belong to the graph itself. */
  use(thing: object, owner: object | undefined, recheck: () => void): void {
    if (owner !== this.memory) this.#uses.set(thing, recheck);
  }

  allocate(rank: RankState, numBytes: number): Allocation | undefined {
    const blockIdx = this.#numBlocks.get(rank) ?? 0;
    this.#numBlocks.set(rank, blockIdx + 1);
    return this.memory.block(rank, blockIdx, numBytes);
  }

  /** Throws, and keeps the error for who captures: the function may catch it. */
  refuse(what: string, hint: string = RESULTS_HINT): never {
    const error = new EpgenArgumentError(
      `Expected the function of group.capture to only enqueue calls, but it called ${what}`,
      { hint },
    );
    this.#violation ??= error;
    throw error;
  }
}

/** The sequence of captured calls: every replay appends it to the group's. */
class CapturedLog extends CallLog {
  readonly #group: GroupState;
  readonly #capture: Capture;

  constructor(group: GroupState, capture: Capture) {
    super(group.dims.numRanks);
    this.#group = group;
    this.#capture = capture;
  }

  override append(...call: Parameters<CallLog['append']>): void {
    super.append(...call);
    const [rank, what] = call;
    this.#capture.calls.push(`${what} on rank ${rank}`);
    this.#capture.onReplay(() => this.#group.log.append(...call));
  }
}
