import { Capture } from './capture.js';
import { describe } from './dtype.js';
import { EpgenArgumentError, EpgenUnsupportedError } from './errors.js';
import { createGraph, type Graph, type Variant } from './graph.js';
import { GraphMemory } from './graph-memory.js';
import { commonPlace, type Place, turnKey, turns } from './graph-place.js';
import type { GroupState } from './group-state.js';
import type { RankState } from './rank-state.js';

/** Every variant is a run of the captured function, and a graph on each device. */
const MAX_VARIANTS = 256;

/** What every run of a captured function needs. */
interface Subject<T> {
  readonly group: GroupState;
  readonly ranks: readonly RankState[];
  readonly memory: GraphMemory;
  readonly run: () => T;
  /** When the graphs of all runs so far can be replayed. */
  readonly ready: Promise<void>[];
}

/**
 * Calls `run` at once, and again for every other place from which the graph may be replayed: buffers rotate, and callers
 * see where they lie. Resolves when all variants can be replayed.
 */
export async function captureGraph<T>(
  group: GroupState,
  ranks: readonly RankState[],
  run: () => T,
): Promise<Graph<T>> {
  group.assertOpen();
  group.refuseInCapture('group.capture');
  if (typeof run !== 'function') {
    throw new EpgenArgumentError(
      `Expected what group.capture takes to be a function but received ${describe(run)}`,
    );
  }
  group.assertUsable();
  const place = commonPlace(ranks, 'group.capture');
  const subject = { group, ranks, run, memory: new GraphMemory(group), ready: [] };
  try {
    const variants = captureVariants(subject, place);
    await Promise.all(subject.ready);
    return createGraph({ group, ranks, memory: subject.memory, variantAt: variants });
  } catch (error) {
    await Promise.allSettled(subject.ready);
    subject.memory.free();
    throw error;
  }
}

/** Captures all variants; gives the one for a place. */
function captureVariants<T>(subject: Subject<T>, place: Place): (place: Place) => Variant<T> {
  const stay = place.map(() => 0);
  const first = captureVariant(subject, stay);
  const periods = subject.group.rotation.map((numBuffers, k) =>
    first.capture.rotates.has(k) ? numBuffers : 1,
  );
  const numVariants = periods.reduce((product, period) => product * period, 1);
  if (numVariants > MAX_VARIANTS) {
    throw new EpgenUnsupportedError(
      `Expected a graph of at most ${MAX_VARIANTS} variants, one for each place of the buffers that its calls use, but received one of ${numVariants}`,
      {
        hint: 'Capture the calls of fewer windows, or of fewer kinds, in one graph; or build with less ht.liveResults or ll.inFlight.',
      },
    );
  }
  const variants = new Map([[turnKey(place, periods), first]]);
  for (const ahead of turns(periods)) {
    const key = turnKey(
      place.map((count, k) => count + (ahead[k] ?? 0)),
      periods,
    );
    if (variants.has(key)) continue;
    const variant = captureVariant(subject, ahead);
    assertSameCalls(first.capture, variant.capture);
    variants.set(key, variant);
  }
  return (current) => {
    const variant = variants.get(turnKey(current, periods));
    if (variant === undefined) throw new Error('a graph lacks a variant');
    return variant;
  };
}

/** One run, as if all ranks had made `ahead` more calls. */
function captureVariant<T>(subject: Subject<T>, ahead: Place): Variant<T> {
  const { group, ranks, memory, ready } = subject;
  const capture = new Capture(group, memory);
  const graph = group.callSync((raw) => raw.beginCapture());
  let result: T;
  try {
    const goBack = ranks.map((rank) => rank.goAhead(ahead));
    group.setCapture(capture);
    try {
      result = subject.run();
      // What it rejects with follows from what is thrown below.
      if (isThenable(result)) Promise.resolve(result).catch(() => undefined);
    } finally {
      group.setCapture(undefined);
      for (const back of goBack) back();
    }
    capture.end();
    assertNoPromise(result);
  } catch (error) {
    capture.cancel();
    group.callSync((raw) => raw.cancelCapture());
    throw error;
  }
  memory.addGraph(graph);
  ready.push(group.call((raw) => raw.endCapture()));
  return { graph, capture, result };
}

function isThenable(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'then' in result;
}

function assertNoPromise(result: unknown): void {
  if (!isThenable(result)) return;
  throw new EpgenArgumentError(
    'Expected the function of group.capture to return at once but it returned a promise',
    {
      hint: 'Calls that wait can not be captured: use group.enqueueDispatch and group.enqueueCombine, or low-latency calls.',
    },
  );
}

function assertSameCalls(first: Capture, other: Capture): void {
  const numCalls = Math.max(first.calls.length, other.calls.length);
  for (let i = 0; i < numCalls; i++) {
    const [was, is] = [first.calls[i], other.calls[i]];
    if (was === is) continue;
    throw new EpgenArgumentError(
      `Expected the function of group.capture to make the same calls each time it is called, but call ${i + 1} was ${was ?? 'none'} and then ${is ?? 'none'}`,
      { hint: 'It is called once for every place that buffers can rotate to.' },
    );
  }
}
