import type { RankProgram, Step } from './steps.js';
import { describeStep } from './steps.js';

/**
 * Every schedule of the programs, state by state. A step that no step still to come on another
 * thread conflicts with is taken at once (a persistent set of one); elsewhere all enabled steps are
 * tried.
 */
export interface Exploration {
  readonly numStates: number;
  /** Whether there were no more than `maxStates`. */
  readonly isFinished: boolean;
  /** The schedule that led to the first wrong read, write or deadlock, and what was wrong. */
  readonly violation: readonly string[] | undefined;
}

interface ThreadState {
  stage: number;
  done: number;
}

interface RankState {
  phase: number;
  readonly threads: readonly ThreadState[];
}

/** Of a word or buffer: its version and the parts written. Of a counter: its count. */
interface Contents {
  readonly version: number;
  readonly parts: number;
}

type State = { readonly ranks: readonly RankState[]; readonly memory: readonly Contents[] };

interface Access {
  readonly rank: number;
  readonly phase: number;
  readonly thread: number;
  readonly stage: number;
  readonly bit: number;
  readonly step: Step;
}

export function explore(programs: readonly RankProgram[], maxStates = 1e6): Exploration {
  return new Explorer(programs, maxStates).run();
}

class Explorer {
  private readonly placeIdx = new Map<string, number>();
  private readonly accesses: Access[][] = [];
  private readonly accessOf = new Map<Step, Access>();
  private readonly seen = new Set<string>();
  private violation: readonly string[] | undefined;
  private isFinished = true;

  constructor(
    private readonly programs: readonly RankProgram[],
    private readonly maxStates: number,
  ) {
    programs.forEach((program, rank) => {
      program.phases.forEach((threads, phase) => {
        threads.forEach((stages, thread) => {
          stages.forEach((steps, stage) => {
            steps.forEach((step, bit) => {
              const access = { rank, phase, thread, stage, bit, step };
              this.accessesOf(step).push(access);
              this.accessOf.set(step, access);
            });
          });
        });
      });
    });
  }

  run(): Exploration {
    const memory = this.accesses.map(() => ({ version: 0, parts: 1 }));
    this.visit({ ranks: this.programs.map((program) => enter(program, 0)), memory }, []);
    const { violation, isFinished } = this;
    return { numStates: this.seen.size, isFinished, violation };
  }

  private visit(from: State, fromSchedule: readonly Access[]): void {
    let state = from;
    const schedule = [...fromSchedule];
    for (;;) {
      const key = keyOf(state);
      if (this.violation !== undefined || this.seen.has(key)) return;
      if (this.seen.size >= this.maxStates) {
        this.isFinished = false;
        return;
      }
      this.seen.add(key);
      const choices = this.next(state);
      const enabled = choices.filter(({ step }) => this.isEnabled(step, state));
      if (enabled.length === 0) {
        const waiting = choices.map(({ step }) => `stuck: ${describeStep(step)}`);
        if (waiting.length > 0) this.fail(schedule, ...waiting);
        return;
      }
      const only = enabled.find((choice) => this.isAlone(choice, state));
      if (only === undefined) {
        for (const choice of enabled) {
          const next = this.take(choice, state, schedule);
          if (next !== undefined) this.visit(next, [...schedule, choice]);
        }
        return;
      }
      const next = this.take(only, state, schedule);
      if (next === undefined) return;
      schedule.push(only);
      state = next;
    }
  }

  /** The steps whose turn it is. */
  private next(state: State): Access[] {
    return state.ranks.flatMap(({ phase, threads }, rank) =>
      threads.flatMap(({ stage, done }, thread) =>
        (this.programs[rank]?.phases[phase]?.[thread]?.[stage] ?? []).flatMap((step, bit) =>
          (done >>> bit) & 1 ? [] : [this.accessOf.get(step) as Access],
        ),
      ),
    );
  }

  private isEnabled(step: Step, state: State): boolean {
    const { version } = this.contents(step, state);
    if (step.kind === 'wait') return version >= step.version;
    return step.kind !== 'await' || version >= step.count;
  }

  private isAlone(choice: Access, state: State): boolean {
    const { step } = choice;
    // A counter only grows, so posts and passed awaits commute with everything.
    if (step.kind === 'post' || step.kind === 'await') return true;
    return !this.accessesOf(step).some(
      (other) =>
        conflicts(step, other.step) && areConcurrent(choice, other) && isToCome(other, state),
    );
  }

  private take(choice: Access, state: State, schedule: readonly Access[]): State | undefined {
    const { step } = choice;
    const now = this.contents(step, state);
    const wanted = step.kind === 'wait' || step.kind === 'read';
    const isLost = now.version > step.version && step.kind !== 'post' && step.kind !== 'await';
    const isEarly =
      wanted && (now.version < step.version || now.parts !== allParts(this.partsOf(step)));
    if (isLost || isEarly) {
      this.fail(
        schedule,
        `${describeStep(step)}, but there is ${now.version} (parts ${now.parts.toString(2)})`,
      );
      return undefined;
    }
    const memory =
      wanted || step.kind === 'await' ? state.memory : this.write(step, now, state.memory);
    const ranks = state.ranks.map((at, rank) =>
      rank === choice.rank ? this.advance(choice, at) : at,
    );
    return { ranks, memory };
  }

  private write(step: Step, now: Contents, memory: readonly Contents[]): readonly Contents[] {
    const next =
      step.kind === 'post'
        ? { version: now.version + 1, parts: 1 }
        : {
            version: step.version,
            parts: (now.version === step.version ? now.parts : 0) | (1 << step.part),
          };
    return memory.with(this.indexOf(step), next);
  }

  private advance({ thread, bit, rank }: Access, at: RankState): RankState {
    const program = this.programs[rank] as RankProgram;
    const stages = program.phases[at.phase] ?? [];
    const threads = at.threads.map((state, i) => {
      if (i !== thread) return state;
      const done = state.done | (1 << bit);
      const steps = stages[i]?.[state.stage] ?? [];
      return done === allParts(steps.length)
        ? nextStage(stages[i] ?? [], state.stage + 1)
        : { stage: state.stage, done };
    });
    const isOver = threads.every(({ stage }, i) => stage === stages[i]?.length);
    return isOver ? enter(program, at.phase + 1) : { phase: at.phase, threads };
  }

  private fail(schedule: readonly Access[], ...what: readonly string[]): void {
    this.violation ??= [...schedule.map(({ step }) => describeStep(step)), ...what];
  }

  /** How many parts the version that a step reads has. */
  private partsOf(step: Step): number {
    const isWriter = ({ step: other }: Access) =>
      other.kind === 'write' && other.version === step.version;
    return this.accessesOf(step).find(isWriter)?.step.parts ?? 1;
  }

  private contents(step: Step, state: State): Contents {
    return state.memory[this.indexOf(step)] as Contents;
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

function enter(program: RankProgram, phase: number): RankState {
  return { phase, threads: (program.phases[phase] ?? []).map((stages) => nextStage(stages, 0)) };
}

/** The stage to do next; stages without steps are passed over. */
function nextStage(stages: readonly (readonly Step[])[], from: number): ThreadState {
  const stage = stages.findIndex((steps, i) => i >= from && steps.length > 0);
  return { stage: stage === -1 ? stages.length : stage, done: 0 };
}

/** Whether program order leaves the order of the two open. */
function areConcurrent(a: Access, b: Access): boolean {
  return a.rank !== b.rank || (a.phase === b.phase && a.thread !== b.thread);
}

function isToCome({ rank, phase, thread, stage, bit }: Access, state: State): boolean {
  const at = state.ranks[rank] as RankState;
  if (phase !== at.phase) return phase > at.phase;
  const running = at.threads[thread] as ThreadState;
  return stage > running.stage || (stage === running.stage && ((running.done >>> bit) & 1) === 0);
}

function conflicts(a: Step, b: Step): boolean {
  const writes = Number(a.kind === 'write') + Number(b.kind === 'write');
  return writes === 1 || (writes === 2 && a.version !== b.version);
}

function allParts(parts: number): number {
  return 2 ** parts - 1;
}

function keyOf({ ranks, memory }: State): string {
  const numbers = ranks.flatMap(({ phase, threads }) => [
    phase,
    ...threads.flatMap(({ stage, done }) => [stage, done]),
  ]);
  for (const { version, parts } of memory) numbers.push(version, parts);
  return String.fromCharCode(...numbers);
}
