import { expect } from 'vitest';
import type { Trace, TraceEvent } from '../../cli/diagram/trace.js';

/** The phases of the format that traces use. */
const PHASES = new Set(['M', 'B', 'E', 'X', 'i', 's', 'f', 'b', 'n', 'e']);

/**
 * Fails unless the text is a trace in which every begin has its end, rows go forwards in time, slices of a row nest,
 * and arrows end at what began before.
 */
export function parseTrace(text: string): Trace & { readonly otherData: Record<string, unknown> } {
  const trace = JSON.parse(text) as Trace & { otherData: Record<string, unknown> };
  const rows = new Map<number, { time: number; open: TraceEvent[] }>();
  const flights = new Map<string, TraceEvent>();
  const arrows = new Set<string>();
  for (const event of trace.traceEvents) {
    const { ph, pid, tid = 0, ts = 0, id = '' } = event;
    expect(PHASES, JSON.stringify(event)).toContain(ph);
    expect(pid).toBeGreaterThan(0);
    if (ph === 'M') continue;
    if (ph === 'b') flights.set(id, event);
    if (ph === 'n' || ph === 'e') expect(ts).toBeGreaterThanOrEqual(flights.get(id)!.ts!);
    if (ph === 'e') flights.delete(id);
    if (ph === 's') arrows.add(id);
    if (ph === 'f') expect([...arrows]).toContain(id);
    if (!'BEXi'.includes(ph)) continue;
    const row = rows.get(tid) ?? { time: 0, open: [] };
    rows.set(tid, row);
    expect(ts, JSON.stringify(event)).toBeGreaterThanOrEqual(row.time);
    row.time = ts;
    if (ph === 'B') row.open.push(event);
    if (ph === 'E') expect(row.open.pop(), JSON.stringify(event)).toBeDefined();
  }
  for (const [tid, { open }] of rows) expect(open, `row ${tid}`).toEqual([]);
  expect([...flights.keys()]).toEqual([]);
  return trace;
}

export const kindsOf = ({ traceEvents }: Trace): Set<string> =>
  new Set(traceEvents.flatMap(({ cat }) => cat ?? []));
