/** The part of a trace file (native/simt/trace_events.hpp) that a drawing needs. */
export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly otherData?: Readonly<Record<string, unknown>>;
}

export interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly cat?: string;
  readonly pid: number;
  readonly tid?: number;
  /** Microseconds of virtual time; metadata has none. */
  readonly ts?: number;
  readonly dur?: number;
  readonly id?: string;
  readonly args?: TraceArgs;
}

/** Which are there depends on the event. */
export interface TraceArgs {
  readonly rank?: number;
  readonly block?: number;
  readonly warp?: number;
  readonly lane?: number;
  readonly file?: string;
  readonly line?: number;
  readonly object?: string;
  readonly order?: string;
  readonly value?: string;
  readonly address?: string;
  /** The rank that has the address, and what it is there. */
  readonly home?: number;
  readonly region?: string;
  readonly offset?: number;
  /** Of a store or copy; of a wait: those that it saw. */
  readonly number?: number;
  readonly from?: readonly number[] | string;
  readonly mbarrier?: string;
  readonly phase?: number;
  readonly peer?: number;
  readonly channel?: number;
  readonly grid?: number;
  readonly message?: string;
  readonly places?: readonly TracePlace[];
}

/** One side of a race, or threads that wait in a deadlock. */
export interface TracePlace {
  readonly rank: number;
  readonly block: number;
  readonly warp: number;
  readonly lane: number;
  readonly file: string;
  readonly line: number;
  readonly what: string;
  /** When a side of a race was, in microseconds. */
  readonly ts?: number;
}
