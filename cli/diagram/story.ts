import { chainBetween, seenBy } from './chain.js';
import type { Finding } from './finding.js';
import { compareLines, type Lifeline, lineOf, memoryKey } from './lifeline.js';
import { baseName, type LocatedPlace, placesOf, placeText } from './places.js';
import type { Flight, Moment, Run } from './run.js';

/** What the drawing tells: who takes part, what they did, and what leads from one to the other. */
export interface Story {
  readonly lines: readonly Lifeline[];
  /** In the order of time. */
  readonly steps: readonly Step[];
  readonly arrows: readonly Arrow[];
  readonly foldedWarps: number;
}

export interface Step {
  readonly line: string;
  readonly time: number;
  readonly kind: string;
  readonly text: readonly string[];
  /** 1, 2, ... for the places of the finding. */
  readonly place?: number;
}

export interface Arrow {
  readonly kind: 'synchronises' | 'only seen' | 'store' | 'bulk copy';
  readonly from: Step;
  readonly to: Step;
  /** Of a bulk copy: when it had read its source. */
  readonly sourceRead?: number;
}

const MAX_LINES = 6;
const CONTEXT = 3; // steps beside a place

function momentText({ kind, name, args }: Moment): string[] {
  const what = kind === 'call starts' || kind === 'call ends' ? `${kind}: ${name}` : name;
  const object = args.object ? ` ${args.object}` : '';
  const details = [
    ...(args.phase === undefined ? [] : [`phase ${args.phase}`]),
    ...(args.value === undefined ? [] : [`value ${args.value}`]),
  ];
  return [
    `${what}${object}`,
    [...details, ...(args.file ? [`${baseName(args.file)}:${args.line}`] : [])].join(', '),
  ].filter((line) => line !== '');
}

/** The first of the moments that differ in their lanes or turns of a loop alone. */
function onePerPlace(moments: readonly Moment[]): Moment[] {
  const seen = new Map<string, Moment>();
  for (const moment of moments) {
    const { name, args } = moment;
    const key = `${name} ${args.object} ${args.file} ${args.line}`;
    if (!seen.has(key)) seen.set(key, moment);
  }
  return [...seen.values()];
}

export function storyOf(run: Run, finding: Finding): Story {
  const places = placesOf(run, finding);
  const builder = new StoryBuilder(run, places);
  for (let idx = 0; idx + 1 < places.length; idx++) {
    builder.addChain(places[idx]!, places[idx + 1]!);
  }
  for (const place of places) builder.addContext(place);
  return builder.story();
}

class StoryBuilder {
  readonly #lines = new Map<string, Lifeline>();
  readonly #steps = new Map<string, Step>();
  readonly #moments = new Map<Step, Moment>();
  readonly #arrows: Arrow[] = [];
  readonly #run: Run;
  readonly #placeSteps: readonly Step[];

  constructor(run: Run, places: readonly LocatedPlace[]) {
    this.#run = run;
    for (const place of places) this.#addLine(place.warpKey);
    this.#placeSteps = places
      .filter(({ warpKey }) => this.#lines.has(warpKey))
      .map((place, idx) => {
        const text = placeText(place, idx + 1);
        const moment = run.warps
          .get(place.warpKey)
          ?.find(({ time, args }) => time === place.time && args.line === place.line);
        const step = {
          line: place.warpKey,
          time: place.time,
          kind: moment?.kind ?? 'access',
          text,
          place: idx + 1,
        };
        this.#steps.set(moment ? this.#key(place.warpKey, moment) : `place ${idx}`, step);
        if (moment) this.#moments.set(step, moment);
        return step;
      });
  }

  addChain(from: LocatedPlace, to: LocatedPlace): void {
    const chain = chainBetween(
      this.#run,
      { warp: from.warpKey, time: from.time },
      { warp: to.warpKey, time: to.time },
    );
    let previous: { step: Step; moment: Moment } | undefined;
    for (const { warp, moment } of chain) {
      const step = this.#addMoment(warp, moment);
      if (!step) break;
      if (previous && previous.step.line !== step.line) {
        const { order } = previous.moment.args;
        const orders = moment.kind !== 'load' && (moment.kind !== 'acquire' || order === 'release');
        this.#arrow(orders ? 'synchronises' : 'only seen', previous.step, step);
      }
      previous = { step, moment };
    }
  }

  /** What the warp of a place did around it, as far as it concerns others. */
  addContext(place: LocatedPlace): void {
    const moments = this.#run.warps.get(place.warpKey) ?? [];
    const isFirst = place.time === Math.min(...this.#placeSteps.map(({ time }) => time));
    const last = Math.max(...this.#placeSteps.map(({ time }) => time));
    const matters = ({ kind }: Moment) => kind !== 'wait' && kind !== 'call ends';
    const earlier = moments.filter((one) => one.time < place.time && matters(one));
    const before = onePerPlace(earlier.reverse()).reverse();
    const after = onePerPlace(
      moments.filter((one) => one.time > place.time && one.time <= last && matters(one)),
    );
    const near = [
      ...before.filter(({ kind }) => kind === 'call starts').slice(-1),
      ...before.slice(isFirst ? -1 : -CONTEXT),
      ...after.slice(0, CONTEXT),
    ];
    for (const moment of new Set(near)) {
      const step = this.#addMoment(place.warpKey, moment);
      if (!step || (moment.kind !== 'acquire' && moment.kind !== 'load')) continue;
      for (const number of seenBy(moment).slice(-2)) this.#addSource(number, moment, step);
    }
  }

  story(): Story {
    for (const [step, { args }] of [...this.#moments]) {
      const flight = args.number === undefined ? undefined : this.#run.flights.get(args.number);
      if (flight?.args.home !== undefined) this.#addFlight(step, flight);
    }
    const steps = [...this.#steps.values()].sort(
      (a, b) => a.time - b.time || (a.place ?? 0) - (b.place ?? 0),
    );
    return {
      lines: [...this.#lines.values()].sort(compareLines),
      steps,
      arrows: this.#arrows,
      foldedWarps: [...this.#run.warps.keys()].filter((key) => !this.#lines.has(key)).length,
    };
  }

  #addLine(key: string): boolean {
    if (this.#lines.has(key)) return true;
    if (this.#lines.size >= MAX_LINES) return false;
    this.#lines.set(key, lineOf(key));
    return true;
  }

  #key(line: string, moment: Moment): string {
    return `${line} ${moment.kind} ${moment.time} ${moment.name} ${moment.args.number ?? moment.args.lane}`;
  }

  #addMoment(line: string, moment: Moment): Step | undefined {
    const key = this.#key(line, moment);
    const known = this.#steps.get(key);
    if (known) return known;
    if (!this.#addLine(line)) return undefined;
    const step = { line, time: moment.time, kind: moment.kind, text: momentText(moment) };
    this.#steps.set(key, step);
    this.#moments.set(step, moment);
    return step;
  }

  /** The store that a wait saw, where its warp is drawn or can be. */
  #addSource(number: number, wait: Moment, step: Step): void {
    for (const [warp, moments] of this.#run.warps) {
      const store = moments.find(({ args, kind }) => args.number === number && kind !== 'copy');
      if (!store) continue;
      const source = this.#addMoment(warp, store);
      const orders = wait.kind === 'acquire' && store.args.order === 'release';
      if (source) this.#arrow(orders ? 'synchronises' : 'only seen', source, step);
      return;
    }
  }

  #arrow(kind: Arrow['kind'], from: Step, to: Step): void {
    if (!this.#arrows.some((one) => one.from === from && one.to === to)) {
      this.#arrows.push({ kind, from, to });
    }
  }

  /** Draws where a store or copy of a drawn step arrives. */
  #addFlight(step: Step, { name, isCopy, args, sourceRead, visible }: Flight): void {
    const line = this.#destination(step, args.home!);
    if (!this.#addLine(line)) return;
    const text = [isCopy ? `${name} is complete` : 'visible here'];
    const to: Step = { line, time: visible, kind: 'visible', text };
    this.#steps.set(`${line} visible ${args.number}`, to);
    this.#arrows.push(
      isCopy
        ? { kind: 'bulk copy', from: step, to, sourceRead }
        : { kind: 'store', from: step, to },
    );
  }

  /** The line of a warp that looks there, else of the rank's memory. */
  #destination(step: Step, home: number): string {
    const looks = [
      ...this.#arrows.flatMap(({ from, to }) => (from === step ? to : [])),
      ...this.#placeSteps,
    ].find(({ line }) => line !== step.line && lineOf(line).rank === home);
    return looks?.line ?? memoryKey(home);
  }
}
