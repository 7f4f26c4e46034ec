import { expect } from 'vitest';
import { reuseTable } from '../../generator/reuse.js';
import type { Call } from './calls.js';
import type { Model } from './model.js';
import { meetingName, orderOf } from './order.js';
import { programs } from './program.js';

/** What many sequences of calls have in common. */
export interface Survey {
  readonly meetings: Map<string, number>;
  readonly races: Map<string, string>;
  readonly stuck: string[];
  numSequences: number;
  numSteps: number;
}

export const isLong = Number(process.env.EPGEN_TEST_SCALE ?? 1) > 1;

export function survey(model: Model, sequences: Iterable<readonly Call[]>): Survey {
  const result: Survey = {
    meetings: new Map(),
    races: new Map(),
    stuck: [],
    numSequences: 0,
    numSteps: 0,
  };
  for (const calls of sequences) {
    const order = orderOf(model, programs(model, calls));
    result.numSequences += 1;
    result.numSteps += order.numSteps;
    result.stuck.push(...order.stuck.map((step) => `${calls.join(' ')}: ${step}`));
    for (const [name, pair] of order.races) result.races.set(name, `${calls.join(' ')}: ${pair}`);
    for (const [name, distance] of order.meetings) {
      result.meetings.set(name, Math.min(distance, result.meetings.get(name) ?? distance));
    }
  }
  return result;
}

export function report(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function expectSafe(model: Model, found: Survey): void {
  expect(found.stuck).toEqual([]);
  expect([...found.races]).toEqual([]);
  const { llInFlight = 0, features } = model;
  const lifetimes =
    llInFlight > 0
      ? `${llInFlight} low-latency calls in flight, credit ${features?.hasLlCredit ?? false}`
      : `${model.liveResults} live results, credit ${model.credit}, slotted ${model.isSlotted ?? false}`;
  report(
    `protocol, ${model.ranks} ranks, ${lifetimes}: ` +
      `${found.numSequences} sequences, ${found.numSteps} steps ordered`,
  );
}

/**
 * The pairs that really meet are the table's edges, at the table's distances: no fewer, no more. `isMeant` picks
 * those regions that the calls touch.
 */
export function expectTable(
  model: Model,
  found: Survey,
  isMeant: (region: string) => boolean = () => true,
): void {
  const table = reuseTable(model).filter(({ region }) => isMeant(region));
  const edges = table.map((edge) => [meetingName(edge), edge.distance] as const);
  expect([...found.meetings].sort()).toEqual(edges.sort());
}
