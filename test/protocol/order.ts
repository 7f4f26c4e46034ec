import type { Model } from './model.js';
import type { RankProgram, Step, Thread } from './steps.js';
import { describeStep } from './steps.js';

/**
 * What must come before what. The programs have no branches, so the steps that must precede a step
 * are known without running anything: earlier stages of its thread, earlier phases of its rank, and
 * what its wait waits for. If every two steps that conflict on a place are ordered in this way, no
 * schedule can swap them: all interleavings are equivalent to one, and nothing can go wrong in any.
 *
 * Only acquire waits of released words carry order on to other places. A relaxed wait orders its own
 * word and nothing else. What a thread knows in this way its copies know only after a proxy fence, or
 * because the kernel began after it.
 */
export interface Order {
  readonly numSteps: number;
  /** Pairs of conflicting accesses by name, each with the smallest distance at which it was met. */
  readonly meetings: ReadonlyMap<string, number>;
  /** One example for each pair of accesses, by name, that some schedule can swap. */
  readonly races: ReadonlyMap<string, string>;
  /** The steps that nothing can ever enable. */
  readonly stuck: readonly string[];
}

/** The name of a pair of accesses, as in the reuse table. */
export function meetingName(pair: { region: string; earlier: string; later: string }): string {
  return `${pair.region}: ${pair.earlier} → ${pair.later}`;
}

export function orderOf(model: Model, programs: readonly RankProgram[]): Order {
  const ordering = new Ordering(model, programs);
  const stuck = ordering.run();
  return stuck.length > 0
    ? { numSteps: ordering.steps.length, meetings: new Map(), races: new Map(), stuck }
    : { numSteps: ordering.steps.length, ...ordering.compare(), stuck };
}

/** Whether the first of two steps must precede the other, if every wait passes. */
export type Precedence = (earlier: Step, later: Step) => boolean;

export function precedenceOf(model: Model, programs: readonly RankProgram[]): Precedence {
  const ordering = new Ordering(model, programs);
  ordering.run();
  return (earlier, later) => ordering.precedes(earlier, later);
}

/** Two sets of steps, one bit each: what precedes, and as much of it as the async proxy knows. */
type Steps = Uint32Array;

interface Running {
  readonly thread: Thread;
  stage: number;
  before: Steps;
  pending: readonly Step[];
}

class Ordering {
  readonly steps: Step[] = [];
  private readonly idOf = new Map<Step, number>();
  /** For each step: itself and all that must precede it. */
  private readonly closures: (Steps | undefined)[] = [];
  /** By rank and call: what preceded the call on the rank's stream. */
  private readonly boundaries: (Steps | undefined)[][];
  private readonly atPlace = new Map<string, number[]>();
  private readonly numWords: number;

  constructor(
    private readonly model: Model,
    private readonly programs: readonly RankProgram[],
  ) {
    for (const step of programs.flatMap((program) => program.phases.flat(3))) {
      const id = this.steps.push(step) - 1;
      this.idOf.set(step, id);
      const ids = this.atPlace.get(step.place);
      if (ids === undefined) this.atPlace.set(step.place, [id]);
      else ids.push(id);
    }
    this.numWords = Math.ceil(this.steps.length / 32);
    this.boundaries = programs.map(() => []);
  }

  /** Gives every step its closure; returns the steps that could not get one. */
  run(): string[] {
    const ranks = this.programs.map((program) => this.runRank(program));
    let progress = true;
    while (progress) {
      progress = false;
      for (const rank of ranks) progress = rank.next().value === true || progress;
    }
    return this.steps
      .filter((_, id) => this.closures[id] === undefined)
      .map((step) => describeStep(step));
  }

  /** Each `next` goes as far as the other ranks allow, and tells whether it got anywhere. */
  private *runRank(program: RankProgram): Generator<boolean, boolean> {
    let before = this.none();
    let call = 0;
    for (const phase of program.phases) {
      const first = phase[0]?.find((stage) => stage.length > 0)?.[0];
      if (first !== undefined && first.call !== call) {
        if (this.model.mutation === 'no stream order') before = this.none();
        call = first.call;
        (this.boundaries[first.rank] as (Steps | undefined)[])[call] = before.slice();
      }
      const threads = phase.map((thread): Running => {
        return { thread, stage: 0, before: before.slice(), pending: thread[0] ?? [] };
      });
      for (;;) {
        let progress = false;
        for (const thread of threads) progress = this.advance(thread) || progress;
        if (threads.every(({ stage, thread }) => stage === thread.length)) break;
        yield progress;
      }
      for (const thread of threads) addAll(before, thread.before);
    }
    return true;
  }

  private advance(running: Running): boolean {
    let progress = false;
    while (running.stage < running.thread.length) {
      const blocked = running.pending.filter((step) => !this.close(step, running.before));
      progress ||= blocked.length < running.pending.length;
      running.pending = blocked;
      if (blocked.length > 0) return progress;
      const stage = running.thread[running.stage] ?? [];
      for (const step of stage) addAll(running.before, this.closureOf(step));
      if (stage.some((step) => step.isFenced)) {
        running.before.set(running.before.subarray(0, this.numWords), this.numWords);
      }
      running.stage += 1;
      running.pending = running.thread[running.stage] ?? [];
      progress = true;
    }
    return progress;
  }

  private close(step: Step, before: Steps): boolean {
    const sources = this.sourcesOf(step);
    if (sources === undefined) return false;
    const id = this.id(step);
    const closure = before.slice();
    // An await needs all its posts; of a word's writers, who write the same, one is enough.
    if (step.kind === 'await') for (const source of sources) addAll(closure, source);
    else if (sources.length > 0) addAll(closure, sources.reduce(intersection));
    add(closure, id);
    this.closures[id] = closure;
    return true;
  }

  /** What the step waits for: nothing, or closures; undefined while some are not known. */
  private sourcesOf(step: Step): Steps[] | undefined {
    if (step.kind !== 'wait' && (step.kind !== 'await' || step.count === 0)) return [];
    const kind = step.kind === 'wait' ? 'write' : 'post';
    const sources: Steps[] = [];
    for (const id of this.atPlace.get(step.place) ?? []) {
      const source = this.steps[id];
      if (source?.kind !== kind || source.version !== step.version) continue;
      const closure = this.closures[id];
      if (closure === undefined) return undefined;
      if (step.relaxed || source.relaxed) {
        const alone = this.none();
        add(alone, id);
        sources.push(alone);
      } else {
        sources.push(closure);
      }
    }
    return sources.length === 0 ? undefined : sources;
  }

  compare(): Pick<Order, 'meetings' | 'races'> {
    const meetings = new Map<string, number>();
    const races = new Map<string, string>();
    for (const ids of this.atPlace.values()) {
      // Names are long and pairs many, so names are looked up by what they are made of.
      const distances = new Map<string, Map<string, number>>();
      for (const [i, id] of ids.entries()) {
        for (let j = i + 1; j < ids.length; j++) {
          const pair = inOrder(this.step(id), this.step(ids[j] as number));
          if (pair === undefined) continue;
          const [earlier, later] = pair;
          const distance = later.content - earlier.content;
          const ofEarlier = distances.get(earlier.access) ?? new Map<string, number>();
          distances.set(earlier.access, ofEarlier);
          const known = ofEarlier.get(later.access);
          if (known === undefined || distance < known) ofEarlier.set(later.access, distance);
          if (!this.isSafe(earlier, later)) {
            const race = `${describeStep(earlier)}  ⇹  ${describeStep(later)}`;
            races.set(meetingName(namesOf(earlier, later)), race);
          }
        }
      }
      const { region } = this.step(ids[0] as number);
      for (const [earlier, ofEarlier] of distances) {
        for (const [later, distance] of ofEarlier) {
          const name = meetingName({ region, earlier, later });
          meetings.set(name, Math.min(distance, meetings.get(name) ?? distance));
        }
      }
    }
    return { meetings, races };
  }

  precedes(earlier: Step, later: Step): boolean {
    const closure = this.closures[this.id(later)];
    return closure !== undefined && has(closure, this.id(earlier));
  }

  private isSafe(earlier: Step, later: Step): boolean {
    // Later posts only add to what an await has seen, and a wait is for this very word.
    if (earlier.kind === 'await')
      return this.model.mutation?.endsWith('arrivals awaited exactly') !== true;
    if (later.kind === 'wait' && later.version === earlier.version) return true;
    const closure = this.closureOf(later);
    const id = this.id(earlier);
    if (!later.isAsync || earlier.isAsync) return has(closure, id);
    const boundary = this.boundaries[later.rank]?.[later.call];
    return (
      has(closure.subarray(this.numWords), id) || (boundary !== undefined && has(boundary, id))
    );
  }

  private id(step: Step): number {
    return this.idOf.get(step) as number;
  }

  private step(id: number): Step {
    return this.steps[id] as Step;
  }

  private closureOf(step: Step): Steps {
    return this.closures[this.id(step)] as Steps;
  }

  private none(): Steps {
    return new Uint32Array(2 * this.numWords);
  }
}

function addAll(steps: Steps, more: Steps): void {
  for (let i = 0; i < steps.length; i++) steps[i] = (steps[i] as number) | (more[i] as number);
}

function intersection(a: Steps, b: Steps): Steps {
  return a.map((word, i) => word & (b[i] as number));
}

function namesOf(earlier: Step, later: Step): Parameters<typeof meetingName>[0] {
  return { region: earlier.region, earlier: earlier.access, later: later.access };
}

/**
 * Two accesses of one place in the order that their versions ask for; undefined when they don't
 * conflict.
 */
function inOrder(a: Step, b: Step): readonly [Step, Step] | undefined {
  const aChanges = a.kind === 'write' || a.kind === 'post';
  const bChanges = b.kind === 'write' || b.kind === 'post';
  if (aChanges === bChanges && (!aChanges || a.kind === 'post' || a.version === b.version))
    return undefined;
  if (a.version !== b.version) return a.version < b.version ? [a, b] : [b, a];
  return aChanges ? [a, b] : [b, a];
}

function add(steps: Steps, id: number): void {
  steps[id >>> 5] = (steps[id >>> 5] ?? 0) | (1 << (id & 31));
}

function has(steps: Steps, id: number): boolean {
  return (((steps[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;
}
