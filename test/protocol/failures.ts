import type { Model } from './model.js';
import { type Precedence, precedenceOf } from './order.js';
import type { RankProgram, Step } from './steps.js';
import { describeStep } from './steps.js';

/**
 * Every schedule of the programs in which given waits give up. A thread that gives up, at a deadline
 * or because it sees its rank's abort word, leaves its rank's record, sets every rank's abort word
 * and leaves the kernel; the stream goes on behind it. When all streams are empty the host resets
 * the words, and the group makes the calls of `after`.
 *
 * A wait that gives up at its deadline does so whether or not its word has come meanwhile: giving up
 * and the word's arrival commute. So it is enough to choose beforehand which waits give up, and no
 * clock is needed.
 *
 * What must hold: a word is only taken by the call that it was written for, a kernel that ends without
 * having given up has read the right rows, results of such kernels stay as they are, all kernels end,
 * and after the reset nothing fails.
 */
export interface FailureRun {
  readonly model: Model;
  readonly before: readonly RankProgram[];
  readonly after: readonly RankProgram[];
  readonly givingUp: ReadonlySet<Step>;
  readonly maxStates: number;
  /** Tries all moves in every state, to check the argument by which others are left out. */
  readonly triesAll?: boolean;
}

export interface FailureExploration {
  readonly numStates: number;
  /** Different states of rows, words and ranks that the calls before the reset can end in. */
  readonly numEnds: number;
  readonly isFinished: boolean;
  readonly violation: readonly string[] | undefined;
}

export function exploreFailures(run: FailureRun): FailureExploration {
  return new FailureExplorer(run).run();
}

/** The waits of these programs: each may be the one that gives up. */
export function waitsOf(programs: readonly RankProgram[]): Step[] {
  return programs.flatMap(({ phases }) => phases.flat(3).filter(isWait));
}

interface ThreadState {
  readonly stage: number;
  readonly done: number;
  /** 0 while it hasn't given up, then one more than the ranks that it has told. */
  readonly told: number;
  /** Whether it has read rows that were not those of its call. */
  readonly isMisled: boolean;
}

interface RankState {
  readonly phase: number;
  readonly threads: readonly ThreadState[];
  readonly isAborted: boolean;
  readonly hasRecord: boolean;
}

/** Of a word or buffer: the version, the half (before or after the reset) and the parts written. */
interface Contents {
  readonly version: number;
  readonly half: number;
  readonly parts: number;
}

interface State {
  readonly ranks: readonly RankState[];
  readonly memory: readonly Contents[];
}

/** Where a step stands; phases are counted on beyond the reset, which is a phase of its own. */
interface Access {
  readonly rank: number;
  readonly half: number;
  readonly phase: number;
  readonly thread: number;
  readonly stage: number;
  readonly bit: number;
  readonly step: Step;
  /** Accesses of other threads whose order with this one matters, and that nothing orders. */
  readonly rivals: Access[];
}

interface Move {
  readonly text: () => string;
  /** Whether no other thread can do anything, now or later, whose order with this move matters. */
  readonly isAlone: boolean;
  readonly take: () => State | undefined;
}

const nothing: Contents = { version: 0, half: 0, parts: 1 };
const nothingAgain: Contents = { ...nothing, half: 1 };

class FailureExplorer {
  private readonly placeIdx = new Map<string, number>();
  private readonly accesses: Access[][] = [];
  private readonly accessOf = new Map<Step, Access>();
  private readonly partsAt = new Map<string, number>();
  private readonly givingUp: readonly Access[];
  private readonly seen = new Set<string>();
  private readonly ends = new Set<string>();
  private readonly phases: RankProgram['phases'][];
  private readonly resetPhases: number[];
  private violation: readonly string[] | undefined;
  private isFinished = true;

  constructor(private readonly explored: FailureRun) {
    const { before, after } = explored;
    this.resetPhases = before.map(({ phases }) => phases.length);
    this.phases = before.map(({ phases }, rank) => [...phases, [], ...(after[rank]?.phases ?? [])]);
    this.phases.forEach((phases, rank) => {
      phases.forEach((threads, phase) => {
        const half = Number(phase > (this.resetPhases[rank] as number));
        threads.forEach((stages, thread) => {
          stages.forEach((steps, stage) => {
            steps.forEach((step, bit) => {
              const access = { rank, half, phase, thread, stage, bit, step, rivals: [] };
              this.accessesOf(step).push(access);
              this.accessOf.set(step, access);
              if (step.kind === 'write') this.partsAt.set(versionOf(step, half), step.parts);
            });
          });
        });
      });
    });
    const precedes = [before, after].map((programs) =>
      keepsOrder(explored.model) ? precedenceOf(explored.model, programs) : () => false,
    );
    for (const access of this.accessOf.values()) {
      const precedence = precedes[access.half] as Precedence;
      const others = this.accessesOf(access.step);
      access.rivals.push(...others.filter((other) => areRivals(access, other, precedence)));
    }
    this.givingUp = [...explored.givingUp].map((step) => this.access(step));
  }

  run(): FailureExploration {
    const ranks = this.phases.map((_, rank) => this.enter(rank, 0, false, false));
    this.visit({ ranks, memory: this.accesses.map(() => nothing) }, []);
    const { violation, isFinished } = this;
    return { numStates: this.seen.size, numEnds: this.ends.size, isFinished, violation };
  }

  private visit(from: State, fromSchedule: readonly Move[]): void {
    const schedule = [...fromSchedule];
    for (let state = from; ; ) {
      const key = keyOf(state);
      if (this.violation !== undefined || this.seen.has(key)) return;
      if (this.seen.size >= this.explored.maxStates) {
        this.isFinished = false;
        return;
      }
      this.seen.add(key);
      const moves = this.movesOf(state);
      if (moves.length === 0) {
        this.requireEnded(state, schedule);
        return;
      }
      const isReduced = this.explored.triesAll !== true;
      const only = moves.find(({ isAlone }) => isAlone && isReduced);
      for (const move of only === undefined ? moves : []) {
        const next = this.take(move, schedule);
        if (next !== undefined) this.visit(next, [...schedule, move]);
      }
      if (only === undefined) return;
      const next = this.take(only, schedule);
      if (next === undefined) return;
      schedule.push(only);
      state = next;
    }
  }

  private take(move: Move, schedule: readonly Move[]): State | undefined {
    const next = move.take();
    if (next === undefined) this.fail(schedule, `wrong: ${move.text()}`);
    return next;
  }

  private requireEnded({ ranks }: State, schedule: readonly Move[]): void {
    const stuck = ranks.flatMap(({ phase }, rank) => {
      const threads = this.phases[rank]?.[phase];
      return threads === undefined ? [] : [`stuck: rank ${rank} in phase ${phase}`];
    });
    if (stuck.length > 0) this.fail(schedule, ...stuck);
  }

  private movesOf(state: State): Move[] {
    return state.ranks.flatMap(({ phase, threads }, rank) =>
      phase === this.resetPhases[rank]
        ? this.resetMoves(rank, state)
        : threads.flatMap((_, thread) => this.threadMoves(rank, thread, state)),
    );
  }

  private resetMoves(rank: number, state: State): Move[] {
    const isEach = this.explored.model.mutation === 'reset of each rank by itself';
    const isReady = state.ranks.every(({ phase }, any) => phase === this.resetPhases[any]);
    if (!isEach && !(isReady && rank === 0)) return [];
    const text = (): string => `reset${isEach ? ` of rank ${rank}` : ''}`;
    const take = (): State => {
      this.ends.add(keyOf(state));
      return this.reset(isEach ? [rank] : state.ranks.map((_, any) => any), state);
    };
    return [{ text, isAlone: !isEach, take }];
  }

  /** What the host does when no kernel runs any more: the words as at the beginning. */
  private reset(which: readonly number[], state: State): State {
    const { mutation } = this.explored.model;
    const memory = [...state.memory];
    for (const [idx, accesses] of this.accesses.entries()) {
      const step = accesses[0]?.step;
      if (step === undefined || keptBy(mutation, step.region)) continue;
      if (which.includes(ownerOf(step))) memory[idx] = nothingAgain;
    }
    const ranks = state.ranks.map((at, rank) => {
      if (!which.includes(rank)) return at;
      const isAborted = mutation === 'reset keeps abort words' && at.isAborted;
      return this.enter(rank, at.phase + 1, isAborted, false);
    });
    return { ranks, memory };
  }

  private threadMoves(rank: number, thread: number, state: State): Move[] {
    const at = state.ranks[rank] as RankState;
    const { stage, done, told } = at.threads[thread] as ThreadState;
    const steps = this.phases[rank]?.[at.phase]?.[thread]?.[stage] ?? [];
    const todo = steps.filter((_, bit) => ((done >>> bit) & 1) === 0);
    if (told > 0) {
      // The block's other roles finish what they are writing.
      const writes = todo.filter((step) => !isWait(step));
      const tells = told > state.ranks.length ? [] : [this.tellMove(rank, thread, state)];
      return [...tells, ...writes.map((step) => this.stepMove(step, state))];
    }
    const waits = todo.filter(isWait);
    const failing = waits.find((step) => this.explored.givingUp.has(step));
    if (failing !== undefined) {
      // Nothing else leads out of this stage, and who gives up changes nothing that others see.
      return [{ ...this.leaveMove(failing, state), isAlone: true }];
    }
    const moves = todo.filter((step) => !isWait(step)).map((step) => this.stepMove(step, state));
    const [wait] = waits;
    if (wait === undefined) return moves;
    if (waits.every((step) => this.isThere(step, state))) moves.push(this.passMove(waits, state));
    return at.isAborted ? [...moves, this.leaveMove(wait, state)] : moves;
  }

  /** Whether an abort word may still be set that isn't. */
  private mayBeTold(state: State): boolean {
    return (
      state.ranks.some(({ isAborted }) => isAborted) ||
      this.givingUp.some((access) => isToCome(access, state))
    );
  }

  private isThere(step: Step, state: State): boolean {
    const { version } = state.memory[this.indexOf(step)] as Contents;
    return version >= (step.kind === 'wait' ? step.version : step.count);
  }

  /**
   * All waits of a stage at once: each changes nothing but where its lane is, and no word of the stage
   * may be written again before all have been read.
   */
  private passMove(waits: readonly Step[], state: State): Move {
    const accesses = waits.map((step) => this.access(step));
    return {
      text: () => waits.map(describeStep).join(' & '),
      isAlone: !this.mayBeTold(state) && accesses.every((access) => this.commutes(access, state)),
      take: () => {
        let next: State | undefined = state;
        for (const access of accesses) next = next && this.perform(access, next);
        return next;
      },
    };
  }

  private stepMove(step: Step, state: State): Move {
    const access = this.access(step);
    const { rank } = access;
    return {
      text: () => describeStep(step),
      isAlone:
        step.kind === 'check'
          ? (state.ranks[rank] as RankState).isAborted || !this.mayBeTold(state)
          : this.commutes(access, state),
      take: () => this.perform(access, state),
    };
  }

  private leaveMove(step: Step, state: State): Move {
    const text = (): string => `gives up: ${describeStep(step)}`;
    const take = (): State | undefined => this.leave(this.access(step), state);
    return { text, isAlone: false, take };
  }

  /** Sets the next rank's abort word, and leaves after the last. */
  private tellMove(rank: number, thread: number, state: State): Move {
    const { told } = (state.ranks[rank] as RankState).threads[thread] as ThreadState;
    const peer = told - 1;
    const isKnown = state.ranks[peer]?.isAborted !== false;
    return {
      text: () => `rank ${rank} tells rank ${peer}`,
      isAlone: isKnown,
      take: () => {
        const ranks = state.ranks.map((at, any) =>
          any === peer ? { ...at, isAborted: true } : at,
        );
        return this.advance(rank, thread, { told: told + 1 }, { ...state, ranks });
      },
    };
  }

  private perform(access: Access, state: State): State | undefined {
    const { step, rank, thread, bit, half } = access;
    const now = state.memory[this.indexOf(step)] as Contents;
    const { done } = (state.ranks[rank] as RankState).threads[thread] as ThreadState;
    const after = { done: done | (1 << bit) };
    switch (step.kind) {
      case 'check':
        return (state.ranks[rank] as RankState).isAborted
          ? this.leave(access, state)
          : this.advance(rank, thread, after, state);
      case 'wait':
        if (now.version > step.version || now.half !== half) return undefined;
        return this.advance(rank, thread, after, state);
      case 'await':
        return this.advance(rank, thread, after, state);
      case 'read': {
        if (!isRows(step)) {
          if (now.version !== step.version) return undefined;
          return this.advance(rank, thread, after, state);
        }
        const isRight =
          now.version === step.version &&
          now.half === half &&
          now.parts === allParts(this.partsAt.get(versionOf(step, half)) ?? 1);
        // What callers make of a kernel that gave up is nobody's concern.
        const isMisled =
          !isRight && (!isCaller(step) || !(state.ranks[rank] as RankState).hasRecord);
        return this.advance(rank, thread, isMisled ? { ...after, isMisled } : after, state);
      }
      case 'write':
      case 'post': {
        const isSameHalf = now.half === half;
        const isSame = now.version === step.version && isSameHalf;
        if (now.version > step.version && isSameHalf && step.kind === 'write' && !isRows(step))
          return undefined;
        const written = 1 << step.part;
        const next =
          step.kind === 'post'
            ? { version: now.version + 1, half, parts: 1 }
            : { version: step.version, half, parts: isSame ? now.parts | written : written };
        const memory = state.memory.with(this.indexOf(step), next);
        return this.advance(rank, thread, after, { ...state, memory });
      }
    }
  }

  /** The thread leaves its record; no wait of its stage goes on. */
  private leave(access: Access, state: State): State | undefined {
    const { rank, thread, phase, stage, half } = access;
    const { mutation, ranks: numRanks } = this.explored.model;
    if (half === 1) return undefined;
    const steps = this.phases[rank]?.[phase]?.[thread]?.[stage] ?? [];
    const at = state.ranks[rank] as RankState;
    const tellsNobody =
      (mutation === 'an abort is not passed on' && at.isAborted) ||
      mutation === 'a rank gives up silently';
    const waits = steps.reduce((bits, step, bit) => (isWait(step) ? bits | (1 << bit) : bits), 0);
    const { done } = at.threads[thread] as ThreadState;
    const isCheck = access.step.kind === 'check';
    const ranks = state.ranks.with(rank, { ...at, isAborted: true, hasRecord: true });
    const gone = {
      done: isCheck ? allParts(steps.length) : done | waits,
      told: tellsNobody ? numRanks + 1 : 1,
    };
    return this.advance(rank, thread, gone, { ...state, ranks });
  }

  private advance(
    rank: number,
    thread: number,
    change: Partial<ThreadState>,
    state: State,
  ): State | undefined {
    const at = state.ranks[rank] as RankState;
    const program = this.phases[rank]?.[at.phase] ?? [];
    const stages = program[thread] ?? [];
    let now: ThreadState = { ...(at.threads[thread] as ThreadState), ...change };
    if (now.done === allParts(stages[now.stage]?.length ?? 0)) {
      if (now.told === 0) now = nextStage(stages, now);
      else if (now.told > state.ranks.length) now = { ...now, stage: stages.length };
    }
    const isOver = (any: ThreadState, i: number): boolean => any.stage === program[i]?.length;
    if (isOver(now, thread) && now.told === 0 && now.isMisled) return undefined;
    const threads = at.threads.with(thread, now);
    if (!threads.every(isOver))
      return { ...state, ranks: state.ranks.with(rank, { ...at, threads }) };
    const next = this.phaseAfter(rank, at.phase, threads);
    const entered = this.enter(rank, next, at.isAborted, at.hasRecord);
    return { ...state, ranks: state.ranks.with(rank, entered) };
  }

  /** The next phase; the rest of a kernel is left out if one of its blocks has left. */
  private phaseAfter(rank: number, phase: number, threads: readonly ThreadState[]): number {
    const phases = this.phases[rank] ?? [];
    const callOf = (idx: number): number | undefined => phases[idx]?.[0]?.flat()[0]?.call;
    let next = phase + 1;
    if (threads.some(({ told }) => told > 0)) {
      while (callOf(next) !== undefined && callOf(next) === callOf(phase)) next += 1;
    }
    return next;
  }

  private enter(rank: number, phase: number, isAborted: boolean, hasRecord: boolean): RankState {
    const start = { stage: 0, done: 0, told: 0, isMisled: false };
    const threads = (this.phases[rank]?.[phase] ?? []).map((stages) =>
      stages[0]?.length === 0 ? nextStage(stages, start) : start,
    );
    return { phase, threads, isAborted, hasRecord };
  }

  private fail(schedule: readonly Move[], ...what: readonly string[]): void {
    this.violation ??= [...schedule.map(({ text }) => text()), ...what];
  }

  private access(step: Step): Access {
    return this.accessOf.get(step) as Access;
  }

  private commutes(access: Access, state: State): boolean {
    const { rivals } = access;
    return !rivals.some(
      (other) => isToCome(other, state) && !this.isHeldUp(other.step, access, state),
    );
  }

  /** A wait for this write or a later one does nothing before the word is there, and then finds the same. */
  private isHeldUp(other: Step, { step, half }: Access, state: State): boolean {
    if (other.kind !== 'wait' || step.kind !== 'write' || other.version < step.version)
      return false;
    const now = state.memory[this.indexOf(step)] as Contents;
    const isWritten = now.version === step.version && now.half === half;
    return isWritten || !this.isThere(other, state);
  }

  private accessesOf(step: Step): Access[] {
    return this.accesses[this.indexOf(step)] as Access[];
  }

  private indexOf({ place }: Step): number {
    let idx = this.placeIdx.get(place);
    if (idx === undefined) {
      idx = this.accesses.push([]) - 1;
      this.placeIdx.set(place, idx);
    }
    return idx;
  }
}

/** The stage to do next; stages without steps are passed over. */
function nextStage(stages: readonly (readonly Step[])[], from: ThreadState): ThreadState {
  const stage = stages.findIndex((steps, i) => i > from.stage && steps.length > 0);
  return { ...from, stage: stage === -1 ? stages.length : stage, done: 0 };
}

function isWait({ kind }: Step): boolean {
  return kind === 'wait' || kind === 'await';
}

function isRows({ region }: Step): boolean {
  return ['recv', 'output', 'll_recv', 'll_output'].includes(region);
}

function isCaller({ access }: Step): boolean {
  return access.startsWith('caller');
}

/** Whether program order and the reset leave the order of the two open. */
function areConcurrent(a: Access, b: Access): boolean {
  return a.rank !== b.rank || (a.phase === b.phase && a.thread !== b.thread);
}

function isToCome({ rank, phase, thread, stage, bit }: Access, state: State): boolean {
  const at = state.ranks[rank] as RankState;
  if (phase !== at.phase) return phase > at.phase;
  const running = at.threads[thread] as ThreadState;
  return stage > running.stage || (stage === running.stage && ((running.done >>> bit) & 1) === 0);
}

/**
 * Whether the order of the two matters and is open, `b` being still to come. What the waits of a
 * kernel order stays ordered when waits fail: a kernel that gave up goes no further, and no later one
 * of its rank does anything. Only callers do, and what they then read doesn't matter.
 */
function areRivals(a: Access, b: Access, precedes: Precedence): boolean {
  if (a.half !== b.half || !areConcurrent(a, b) || !conflicts(a.step, b.step)) return false;
  return (isCaller(b.step) && b.step.kind === 'write') || !precedes(a.step, b.step);
}

/** Whether a rank that gave up goes no further, and none takes a word for another. */
function keepsOrder({ mutation }: Model): boolean {
  return mutation !== 'no check at start' && mutation?.startsWith('reset') !== true;
}

function conflicts(a: Step, b: Step): boolean {
  const isCounter = [a, b].some(({ kind }) => kind === 'post' || kind === 'await');
  const writes = Number(a.kind === 'write') + Number(b.kind === 'write');
  if (isCounter || writes === 0) return false;
  return writes === 1 || a.version !== b.version;
}

function versionOf({ place, version }: Step, half: number): string {
  return `${place} ${version} ${half}`;
}

/** Whose window or memory it is: every place's name begins with its rank. */
function ownerOf({ place }: Step): number {
  return Number.parseInt(place.slice(place.indexOf('[') + 1), 10);
}

function keptBy(mutation: Model['mutation'], region: Step['region']): boolean {
  switch (mutation) {
    case 'reset keeps counts':
      return region === 'rank_counts' || region === 'expert_counts';
    case 'reset keeps ready words':
      return region === 'ready';
    case 'reset keeps arrivals':
      return region === 'arrivals';
    case 'reset keeps ll_counts':
    case 'reset keeps ll_started':
    case 'reset keeps ll_arrivals':
    case 'reset keeps ll_ready':
      return region === mutation.slice('reset keeps '.length);
    case 'reset keeps ll epochs':
      return region === 'll_dispatch_epoch' || region === 'll_combine_epoch';
    case 'reset keeps epochs':
      return region === 'dispatch_epoch' || region === 'combine_epoch';
    default:
      return false;
  }
}

function allParts(parts: number): number {
  return 2 ** parts - 1;
}

function keyOf({ ranks, memory }: State): string {
  const numbers = ranks.flatMap(({ phase, threads, isAborted, hasRecord }) => [
    phase,
    Number(isAborted) + 2 * Number(hasRecord),
    ...threads.flatMap(({ stage, done, told, isMisled }) => [
      stage,
      done,
      2 * told + Number(isMisled),
    ]),
  ]);
  for (const { version, half, parts } of memory) numbers.push(version * 2 + half, parts);
  return String.fromCharCode(...numbers);
}
