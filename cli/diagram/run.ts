import { lineKey, streamKey } from './lifeline.js';
import type { Trace, TraceArgs, TraceEvent } from './trace.js';

/** Something that a warp did, or that happened to all warps of a block or rank. */
export interface Moment {
  readonly kind: string;
  readonly name: string;
  /** Nanoseconds of virtual time, as all times here. */
  readonly time: number;
  /** Of a wait. */
  readonly end?: number;
  readonly args: TraceArgs;
}

/** A store or bulk copy between the warp that issued it and memory. */
export interface Flight {
  readonly name: string;
  readonly isCopy: boolean;
  readonly args: TraceArgs;
  readonly issued: number;
  readonly sourceRead: number;
  readonly visible: number;
}

export interface Call {
  readonly rank: number;
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** A trace as what warps did, in the order of time. */
export interface Run {
  readonly calls: readonly Call[];
  /** By warp or stream; what concerns a whole block or rank stands in the lists of all of theirs. */
  readonly warps: ReadonlyMap<string, readonly Moment[]>;
  readonly flights: ReadonlyMap<number, Flight>;
  /** Races and faults. */
  readonly findings: readonly Moment[];
  readonly notes: Readonly<Record<string, unknown>>;
}

const OF_WARPS = new Set([
  'acquire',
  'load',
  'store',
  'rmw',
  'fence',
  'mbarrier arrival',
  'mbarrier wait',
  'task',
]);

const nanoseconds = (microseconds: number): number => Math.round(microseconds * 1000);

/** Pairs begins with ends, which carry no name: the last open one of the row. */
function slices(events: readonly TraceEvent[]): { begin: TraceEvent; end: number }[] {
  const open = new Map<number, TraceEvent[]>();
  const found: { begin: TraceEvent; end: number }[] = [];
  for (const event of events) {
    if (event.ph === 'B') {
      const row = open.get(event.tid!) ?? [];
      open.set(event.tid!, row);
      row.push(event);
    } else if (event.ph === 'E') {
      const begin = open.get(event.tid!)?.pop();
      if (begin) found.push({ begin, end: nanoseconds(event.ts!) });
    }
  }
  return found;
}

function flightsOf(events: readonly TraceEvent[]): Map<number, Flight> {
  const flights = new Map<number, Flight>();
  const begun = new Map<string, { begin: TraceEvent; sourceRead: number }>();
  for (const event of events) {
    if (event.id === undefined) continue;
    const time = nanoseconds(event.ts ?? 0);
    if (event.ph === 'b') begun.set(event.id, { begin: event, sourceRead: time });
    const flight = begun.get(event.id);
    if (!flight) continue;
    if (event.ph === 'n') flight.sourceRead = time;
    if (event.ph !== 'e') continue;
    const args = flight.begin.args ?? {};
    flights.set(args.number ?? -1, {
      name: flight.begin.name,
      isCopy: flight.begin.cat === 'bulk copy',
      args,
      issued: nanoseconds(flight.begin.ts!),
      sourceRead: flight.sourceRead,
      visible: time,
    });
  }
  return flights;
}

export function runFromTrace({ traceEvents, otherData = {} }: Trace): Run {
  const warps = new Map<string, Moment[]>();
  const calls: Call[] = [];
  const findings: Moment[] = [];
  const shared: Moment[] = [];
  const add = (moment: Moment) => {
    const { rank = 0, block = 0, warp = 0 } = moment.args;
    const key = moment.kind === 'task' ? streamKey(rank) : lineKey({ rank, block, warp });
    const moments = warps.get(key);
    if (moments) moments.push(moment);
    else warps.set(key, [moment]);
  };
  for (const { begin, end } of slices(traceEvents)) {
    const { name, args = {} } = begin;
    const time = nanoseconds(begin.ts!);
    if (begin.cat === 'wait') add({ kind: 'wait', name, time, end, args });
    if (begin.cat !== 'kernel') continue;
    calls.push({ rank: args.rank!, name, start: time, end });
    shared.push({ kind: 'call starts', name, time, args });
    shared.push({ kind: 'call ends', name, time: end, args });
  }
  for (const { ph, cat = '', name, ts = 0, args = {} } of traceEvents) {
    const moment = { kind: cat, name, time: nanoseconds(ts), args };
    if (OF_WARPS.has(cat) && (ph === 'X' || ph === 'i')) add(moment);
    else if (cat === 'barrier') shared.push(moment);
    else if (cat === 'race' || cat === 'fault') findings.push(moment);
  }
  const flights = flightsOf(traceEvents);
  for (const { isCopy, name, issued, args } of flights.values()) {
    if (isCopy) add({ kind: 'copy', name, time: issued, args });
  }
  for (const [key, moments] of warps) {
    const [rank, block] = key.split('/').map(Number);
    for (const moment of shared) {
      const { args } = moment;
      if (args.rank === rank && (moment.kind !== 'barrier' || args.block === block)) {
        moments.push(moment);
      }
    }
    moments.sort((a, b) => a.time - b.time);
  }
  return { calls, warps, flights, findings, notes: otherData };
}
