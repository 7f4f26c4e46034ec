import type { Moment, Run } from './run.js';

/** A place in time on a warp's line. */
export interface Spot {
  readonly warp: string;
  readonly time: number;
}

/** How a warp came to know of an earlier moment of the same or another warp. */
export interface Link {
  readonly warp: string;
  readonly moment: Moment;
  readonly cost: number;
  readonly before: Link | undefined;
}

/** A wait that takes a value without acquiring it orders nothing: followed only where nothing better leads on. */
const SYNCHRONISES = 1;
const ONLY_SEES = 3;

/**
 * The moments that lead from one spot to a later one: the fewest steps of synchronisation. Empty where even seen values
 * lead nowhere.
 */
export function chainBetween(run: Run, from: Spot, to: Spot): Link[] {
  const reached = new Map<string, Link>();
  const published = new Map<number, Link>();
  const arrived = new Map<string, Link>();
  const start: Moment = { kind: 'start', name: '', time: from.time, args: {} };
  reached.set(from.warp, { warp: from.warp, moment: start, cost: 0, before: undefined });

  const reach = (warp: string, moment: Moment, before: Link | undefined, cost: number) => {
    if (!before) return;
    const known = reached.get(warp);
    const total = before.cost + cost;
    if (!known || total < known.cost) reached.set(warp, { warp, moment, cost: total, before });
  };

  for (const { moment, warps } of momentsBetween(run, from.time, to.time)) {
    const [warp] = warps as [string];
    const here = reached.get(warp);
    const { number, mbarrier, phase } = moment.args;
    if (moment.kind === 'store' || moment.kind === 'rmw') {
      if (here && number !== undefined) {
        published.set(number, { warp, moment, cost: here.cost, before: here });
      }
    } else if (moment.kind === 'mbarrier arrival') {
      const key = `${mbarrier}:${phase}`;
      const known = arrived.get(key);
      if (here && (!known || here.cost < known.cost)) {
        arrived.set(key, { warp, moment, cost: here.cost, before: here });
      }
    } else if (moment.kind === 'mbarrier wait') {
      reach(warp, moment, arrived.get(`${mbarrier}:${phase}`), SYNCHRONISES);
    } else if (moment.kind === 'acquire' || moment.kind === 'load') {
      for (const seen of seenBy(moment)) {
        const source = published.get(seen);
        const orders = moment.kind === 'acquire' && source?.moment.args.order === 'release';
        reach(warp, moment, source, orders ? SYNCHRONISES : ONLY_SEES);
      }
    } else if (warps.length > 1) {
      const links = warps.flatMap((one) => reached.get(one) ?? []);
      if (links.length === 0) continue;
      const best = links.reduce((a, b) => (b.cost < a.cost ? b : a));
      for (const one of warps) {
        if (one !== best.warp) reach(one, moment, { ...best, moment, before: best }, SYNCHRONISES);
      }
    }
  }
  const chain: Link[] = [];
  for (let link = reached.get(to.warp); link?.before; link = link.before) chain.unshift(link);
  return chain;
}

/** The numbers of the stores that a wait saw. */
export const seenBy = ({ args: { from } }: Moment): readonly number[] =>
  typeof from === 'object' ? from : [];

/** Every moment once, with the warps that it concerns. */
function momentsBetween(run: Run, begin: number, end: number) {
  const all = new Map<Moment, string[]>();
  for (const [warp, moments] of run.warps) {
    for (const moment of moments) {
      if (moment.time < begin || moment.time > end) continue;
      const warps = all.get(moment);
      if (warps) warps.push(warp);
      else all.set(moment, [warp]);
    }
  }
  return [...all]
    .map(([moment, warps]) => ({ moment, warps }))
    .sort((a, b) => a.moment.time - b.moment.time);
}
