import type { ArenaBlock } from './arena-block.js';
import { BufferClaims } from './buffer-claims.js';
import { CallCounts, type NumCalls } from './call-counts.js';
import { EpgenArgumentError } from './errors.js';
import { HOOK_HINT, type PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';

type Kind = 'dispatch' | 'combine';

/** What was sent on a window and not received, by the number of its call. */
type Sends = Readonly<Record<Kind, readonly PendingReceive[]>>;

const PLURALS = { dispatch: 'dispatches', combine: 'combines' } as const satisfies Record<
  Kind,
  string
>;

const NO_SENDS: Sends = { dispatch: [], combine: [] };

/** A window's low-latency calls: how many there were, and whose hooks were not called yet. */
export class LowLatencyWindow extends CallCounts {
  /** Who has the input buffer of the next low-latency combine. */
  readonly inputs = new BufferClaims(this, {
    method: 'rank.getNextLowLatencyCombineBuffer',
    aCombine: 'a low-latency combine',
  });
  readonly #windowIdx: number;
  #sends = NO_SENDS;
  /** Where the capture of the moment began. */
  #first: Readonly<Record<Kind, number>> = { dispatch: 0, combine: 0 };

  constructor(
    rank: RankState,
    { windowIdx, placeIdx }: { readonly windowIdx: number; readonly placeIdx: number },
  ) {
    super(rank, placeIdx);
    this.#windowIdx = windowIdx;
  }

  /** A call was sent whose receive its hook enqueues. */
  addSend(kind: Kind, send: PendingReceive): void {
    const due = this.#sends[kind].filter(({ isDue }) => isDue);
    this.#sends = { ...this.#sends, [kind]: [...due, send] };
  }

  /**
   * Refuses the window's next call while one that it takes the buffers of was not received. Replays of what is being captured
   * are refused likewise.
   */
  assertRoom(kind: Kind): void {
    this.#assertRoomFor(kind, this.#count(kind));
    const ahead = this.#count(kind) - this.#first[kind];
    const recheck = () => this.#assertRoomFor(kind, this.#count(kind) + ahead);
    // An object of its own: each call of a graph is checked.
    this.rank.group.capture?.use({}, undefined, recheck);
  }

  /** Refuses a combine while another one of the same handle was not received: both keep their number in it. */
  assertCombinable(handle: ArenaBlock, name: string): void {
    const check = () => {
      const other = this.#sends.combine.some((send) => send.isDue && send.isOf(handle));
      if (!other) return;
      throw new EpgenArgumentError(
        `Expected ${name} to have no combine in flight, but one of it was not received: call its hook first`,
        { hint: HOOK_HINT },
      );
    };
    check();
    this.rank.group.capture?.use({}, undefined, check);
  }

  override goAhead(ahead: NumCalls): () => void {
    const back = super.goAhead(ahead);
    const claimsBack = this.inputs.setAside();
    const sends = this.#sends;
    // Calls that were made before matter to replays, not to what is only captured.
    this.#sends = NO_SENDS;
    this.#first = { dispatch: this.numDispatches, combine: this.numCombines };
    return () => {
      this.#sends = sends;
      claimsBack();
      back();
    };
  }

  #assertRoomFor(kind: Kind, sequence: number): void {
    const { group, idx } = this.rank;
    const inFlight = group.dims.lowLatency?.inFlight ?? 0;
    const oldest = this.#sends[kind].find(({ isDue }) => isDue);
    if (oldest === undefined || sequence - oldest.sequence < inFlight) return;
    const where = group.numWindows === 1 ? '' : ` on window ${this.#windowIdx}`;
    const calls = inFlight === 1 ? kind : PLURALS[kind];
    throw new EpgenArgumentError(
      `Expected at most ${inFlight} low-latency ${calls} in flight on rank ${idx}${where} (ll.inFlight), but the hook of number ${oldest.sequence + 1} was not called before number ${sequence + 1}`,
      {
        hint: `Call that hook first, or raise ll.inFlight in the spec and build again. ${HOOK_HINT}`,
      },
    );
  }

  #count(kind: Kind): number {
    return kind === 'dispatch' ? this.numDispatches : this.numCombines;
  }
}
