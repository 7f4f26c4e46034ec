import type { Allocation } from './allocation.js';
import { EpgenArgumentError, EpgenStaleError } from './errors.js';
import type { GroupState } from './group-state.js';
import { Keepers, type Kept } from './keepers.js';
import type { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';

const forgotten = new FinalizationRegistry<Holdings>(giveBack);

/** Of the process, so far. */
let numGraphs = 0;

/** What goes back with a graph. */
interface Holdings {
  readonly group: GroupState;
  /** The addon's graphs, one per variant. */
  readonly graphs: number[];
  /** In the order in which one run of the captured function takes them. */
  readonly blocks: Map<RankState, (Allocation | undefined)[]>;
}

/** A graph's memory: the same blocks serve all its variants, so that only one of them holds contents at a time. */
export class GraphMemory implements Kept {
  /** From 1. */
  readonly number: number;
  readonly #holdings: Holdings;
  readonly #numRecoveries: number;
  #isFreed = false;
  #isGivenBack = false;
  #hasContents = false;
  /** Of calls that are only sent, in the graph's capture while it runs, and outside of it. */
  readonly #keepers = new Keepers();

  constructor(group: GroupState) {
    this.#holdings = { group, graphs: [], blocks: new Map() };
    this.#numRecoveries = group.numRecoveries;
    numGraphs += 1;
    this.number = numGraphs;
    forgotten.register(this, this.#holdings, this);
  }

  get isFreed(): boolean {
    return this.#isFreed;
  }

  addGraph(graph: number): void {
    this.#holdings.graphs.push(graph);
  }

  /** Block number `blockIdx` of the rank: taken by the first variant that asks. */
  block(rank: RankState, blockIdx: number, numBytes: number): Allocation | undefined {
    const { blocks } = this.#holdings;
    const ofRank = blocks.get(rank) ?? [];
    blocks.set(rank, ofRank);
    if (blockIdx === ofRank.length) {
      ofRank.push(numBytes === 0 ? undefined : rank.allocate(numBytes, this));
    }
    const block = ofRank[blockIdx];
    if ((block?.numBytes ?? 0) !== numBytes) {
      throw new EpgenArgumentError(
        `Expected the function of group.capture to make the same calls each time it is called, but what it needs on rank ${rank.idx} changed from ${block?.numBytes ?? 0} to ${numBytes} bytes`,
      );
    }
    return block;
  }

  /** Whether a replay, or a call that is being captured, has filled it. */
  setContents(hasContents: boolean): void {
    this.#hasContents = hasContents;
  }

  /** Throws where the memory must not be used any more, or not yet; `name` is whose it is in the message. */
  assertLive(name: string): void {
    if (this.#isFreed) {
      throw new EpgenArgumentError(`Expected ${name} to be live, but its graph was disposed`);
    }
    if (this.#holdings.group.numRecoveries !== this.#numRecoveries) {
      throw new EpgenStaleError(`Expected ${name} to be live, but the group was recovered since`);
    }
    if (!this.#hasContents) {
      throw new EpgenStaleError(
        `Expected ${name} to be live, but its graph has not been replayed yet`,
      );
    }
  }

  /** Gives everything back: replays that were enqueued before still see it. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.#giveBack();
  }

  /** Until the receive is enqueued, `free` gives nothing back, and no replay may write to the memory. */
  keepFor(receive: PendingReceive): void {
    this.#keepers.add(receive);
  }

  letGo(): void {
    if (this.#isFreed) this.#giveBack();
  }

  /** Throws while a receive needs what a replay would overwrite. */
  assertNotKept(): void {
    const keeper = this.#keepers.due;
    if (keeper === undefined) return;
    throw new EpgenArgumentError(
      `Expected the hooks of all calls that use the graph's handles to be called before it is replayed, but that of a ${keeper.call} was not`,
    );
  }

  /** Once, though a receive lets go of each block that it kept. */
  #giveBack(): void {
    if (this.#isGivenBack || this.#keepers.due !== undefined) return;
    this.#isGivenBack = true;
    forgotten.unregister(this);
    giveBack(this.#holdings);
  }
}

/** A function apart, so that what the registry holds does not refer to the memory. */
function giveBack({ group, graphs, blocks }: Holdings): void {
  for (const [rank, ofRank] of blocks) {
    for (const block of ofRank) if (block !== undefined) rank.free(block);
  }
  for (const graph of graphs) group.freeGraph(graph);
}
