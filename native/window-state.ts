import { BufferClaims } from './buffer-claims.js';
import { CallCounts } from './call-counts.js';
import { NUMBERS_PER_WINDOW, type Place } from './graph-place.js';
import { LowLatencyWindow } from './low-latency-window.js';
import type { RankState } from './rank-state.js';

/** One symmetric window of a rank: its place in the sequence of the window's calls. */
export class WindowState extends CallCounts {
  readonly idx: number;
  readonly base: bigint;
  /** Who has the input buffer of the next combine. */
  readonly inputs = new BufferClaims(this, {
    method: 'rank.combineInput',
    aCombine: 'a combine',
  });
  /** What is counted of low-latency calls. */
  readonly lowLatency: LowLatencyWindow;

  constructor(rank: RankState, idx: number) {
    const placeIdx = NUMBERS_PER_WINDOW * idx;
    super(rank, placeIdx);
    this.idx = idx;
    this.base = rank.group.callSync((raw) => raw.windowBase(rank.idx, idx));
    this.lowLatency = new LowLatencyWindow(rank, { windowIdx: idx, placeIdx: placeIdx + 2 });
  }

  /** How far the window's sequence of calls has come. */
  get place(): Place {
    const { lowLatency } = this;
    const { numDispatches, numCombines } = lowLatency;
    return [this.numDispatches, this.numCombines, numDispatches, numCombines];
  }

  /** For a capture: as if it had come further by `ahead`, until what this gives is called. */
  goAheadBy([dispatches = 0, combines = 0, llDispatches = 0, llCombines = 0]: Place): () => void {
    const backs = [
      this.goAhead({ dispatches, combines }),
      this.inputs.setAside(),
      this.lowLatency.goAhead({ dispatches: llDispatches, combines: llCombines }),
    ];
    return () => {
      for (const back of backs) back();
    };
  }
}
