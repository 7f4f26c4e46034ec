import type { Finding } from '../../../cli/diagram/finding.js';
import type { Trace, TraceArgs, TraceEvent, TracePlace } from '../../../cli/diagram/trace.js';

interface At {
  readonly rank: number;
  readonly block?: number;
  readonly warp?: number;
  readonly lane?: number;
}

/** Events as native/simt/trace_events.cpp writes them; times are nanoseconds. */
export class MadeUpTrace {
  readonly #events: TraceEvent[] = [];

  #add(ph: string, cat: string, name: string, time: number, tid: number, args: TraceArgs): void {
    this.#events.push({ ph, cat, name, pid: (args.rank ?? 0) + 1, tid, ts: time / 1000, args });
  }

  call(name: string, rank: number, start: number, end: number): this {
    this.#add('B', 'kernel', name, start, rank + 1, { rank, grid: 2 });
    this.#add('E', 'kernel', '', end, rank + 1, {});
    return this;
  }

  step(cat: string, name: string, time: number, at: At, args: TraceArgs): this {
    const { rank, block = 0, warp = 0, lane = 0 } = at;
    const tid = 1000 * (rank + 1) + 100 * block + warp;
    this.#add(cat === 'barrier' || cat === 'fence' ? 'i' : 'X', cat, name, time, tid, {
      rank,
      block,
      warp,
      lane,
      ...args,
    });
    return this;
  }

  wait(name: string, start: number, end: number, at: At, args: TraceArgs): this {
    const { rank, block = 0, warp = 0, lane = 0 } = at;
    const tid = 50_000 + 1000 * (rank + 1) + 100 * block + warp;
    this.#add('B', 'wait', name, start, tid, { rank, block, warp, lane, ...args });
    this.#add('E', 'wait', '', end, tid, {});
    return this;
  }

  flight(
    cat: string,
    name: string,
    times: readonly [number, number, number],
    at: At,
    args: TraceArgs,
  ) {
    const { rank, block = 0, warp = 0, lane = 0 } = at;
    const common = { cat, name, pid: rank + 1, id: `0x${args.number!.toString(16)}` };
    const [issued, sourceRead, visible] = times.map((time) => time / 1000) as [
      number,
      number,
      number,
    ];
    this.#events.push(
      { ...common, ph: 'b', ts: issued, args: { rank, block, warp, lane, ...args } },
      { ...common, ph: 'n', ts: sourceRead },
      { ...common, ph: 'e', ts: visible },
    );
    return this;
  }

  race(time: number, places: readonly (TracePlace & { ts: number })[]): this {
    this.#add('i', 'race', 'race', time, 1, {
      places: places.map((place) => ({ ...place, ts: place.ts / 1000 })),
    });
    return this;
  }

  build(spec: string): Trace {
    return { traceEvents: this.#events, otherData: { spec } };
  }
}

const store = {
  file: 'dispatch_send.cuh',
  line: 88,
  what: 'bulk_store',
  object: 'window.recv_x',
  rank: 0,
  block: 0,
  warp: 1,
  lane: 0,
  proxy: 'async',
};
const load = {
  file: 'dispatch_receive.cuh',
  line: 41,
  what: 'ld_vec16',
  object: 'window.recv_x',
  rank: 1,
  block: 0,
  warp: 3,
  lane: 17,
  proxy: 'generic',
};

/** A row is announced after bulk_wait_group_read only; its reader is ordered after the wait, not after the copy. */
export const earlyAnnouncement: Finding = {
  detector: 'race',
  seed: 4711,
  policy: 'priority',
  message:
    'bulk_store of "window.recv_x" at dispatch_send.cuh:88, rank 0 block 0 warp 1 lane 0, and ld_vec16 of ' +
    '"window.recv_x" at dispatch_receive.cuh:41, rank 1 block 0 warp 3 lane 17, are not ordered (rank 1\'s window + 4096)',
  places: [store, load],
  remedy:
    'bulk_wait_group<0> instead of bulk_wait_group_read<0> at dispatch_send.cuh:90: only the source had been read',
};

export function earlyAnnouncementTrace(): MadeUpTrace {
  const counter = { object: 'control.arrivals', address: '0x7f0010', home: 1, offset: 16 };
  return new MadeUpTrace()
    .call('dispatch', 0, 100, 9000)
    .call('dispatch', 1, 150, 9500)
    .step(
      'fence',
      'fence_proxy_async_shared',
      2000,
      { rank: 0, warp: 1 },
      { file: store.file, line: 85 },
    )
    .flight(
      'bulk copy',
      'bulk_store',
      [2100, 2400, 3900],
      { rank: 0, warp: 1 },
      {
        number: 5,
        file: store.file,
        line: 88,
        object: 'window.recv_x',
        home: 1,
        region: 'window',
        offset: 4096,
      },
    )
    .step(
      'rmw',
      'red_add_release_sys',
      2500,
      { rank: 0, warp: 1 },
      {
        ...counter,
        number: 6,
        order: 'release',
        value: '0x1',
        file: store.file,
        line: 95,
      },
    )
    .flight(
      'store on its way',
      'red_add_release_sys',
      [2500, 2500, 2900],
      { rank: 0, warp: 1 },
      {
        ...counter,
        number: 6,
        order: 'release',
        file: store.file,
        line: 95,
      },
    )
    .step(
      'acquire',
      'wait_acquire_sys',
      3000,
      { rank: 1 },
      {
        ...counter,
        from: [6],
        order: 'acquire',
        value: '0x1',
        file: 'dispatch_receive.cuh',
        line: 30,
      },
    )
    .step('barrier', 'sync_block', 3200, { rank: 1 }, { file: 'dispatch_receive.cuh', line: 33 })
    .step(
      'load',
      'wait_relaxed_sys',
      1800,
      { rank: 1, warp: 3 },
      {
        object: 'control.rank_counts',
        value: '0x100000003',
        from: [],
        file: 'dispatch_receive.cuh',
        line: 20,
      },
    )
    .step(
      'store',
      'st_relaxed_sys',
      700,
      { rank: 0, warp: 5 },
      {
        object: 'control.rank_counts',
        number: 2,
        file: 'dispatch_count.cuh',
        line: 12,
      },
    )
    .race(3500, [
      { ...store, ts: 2100 },
      { ...load, ts: 3500 },
    ]);
}
