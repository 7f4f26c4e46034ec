import type { Finding, FindingPlace } from './finding.js';
import { lineKey, streamKey } from './lifeline.js';
import type { Moment, Run } from './run.js';

/** A place of a finding on a line of the drawing. */
export interface LocatedPlace extends FindingPlace {
  readonly warpKey: string;
  readonly time: number;
}

const MOST = 6;

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

interface Position {
  readonly file?: string;
  readonly line?: number;
}

const isAt = (one: Position, place: Position): boolean =>
  baseName(one.file ?? '') === baseName(place.file ?? '') && one.line === place.line;

/** What the finding is about, in the order of time: its places, else whoever waits, else all ranks. */
export function placesOf(run: Run, finding: Finding): LocatedPlace[] {
  const isRace = finding.places.length > 1;
  const told = isRace ? finding.places : finding.places.filter(({ file }) => file !== '');
  const all = told.length > 0 ? located(run, told) : [];
  const found = all.length > 0 ? all : stuck(run);
  return found.slice(0, MOST).sort((a, b) => a.time - b.time);
}

/** A race says itself when its sides were, others are looked for. */
function located(run: Run, places: readonly FindingPlace[]): LocatedPlace[] {
  const race = run.findings.find(
    ({ args }) =>
      args.places?.length === places.length &&
      places.every((place, idx) => {
        const side = args.places![idx]!;
        return isAt(side, place) && lineKey(side) === lineKey(place);
      }),
  );
  const last = Math.max(0, ...run.calls.map(({ end }) => end));
  return places.map((place, idx) => {
    const warpKey = place.agent === 'stream' ? streamKey(place.rank) : lineKey(place);
    const ts = race?.args.places?.[idx]?.ts;
    const fault = run.findings.find(({ kind, args }) => kind === 'fault' && isAt(args, place));
    const seen = run.warps.get(warpKey)?.findLast(({ args }) => isAt(args, place));
    const time = ts === undefined ? (fault ?? seen)?.time : Math.round(ts * 1000);
    return { ...place, warpKey, time: time ?? last };
  });
}

/** Whoever waits in a deadlock, else the longest wait of each rank: one warp for each thing that is waited for. */
function stuck(run: Run): LocatedPlace[] {
  const fault = run.findings.find(({ args }) => (args.places ?? []).length > 0);
  if (fault) {
    const firsts = new Map(
      fault.args.places!.map((place) => [`${place.rank} ${place.what} ${place.line}`, place]),
    );
    return located(run, [...firsts.values()]);
  }
  const longest = new Map<number, Moment>();
  for (const moment of [...run.warps.values()].flat()) {
    const rank = moment.args.rank ?? 0;
    const known = longest.get(rank);
    if (moment.kind === 'wait' && (!known || duration(moment) > duration(known))) {
      longest.set(rank, moment);
    }
  }
  return [...longest.values()].map(({ name, time, args }) => {
    const { rank = 0, block = 0, warp = 0, file = '', line = 0 } = args;
    const what = `wait: ${name}`;
    return { what, rank, block, warp, file, line, time, warpKey: lineKey({ rank, block, warp }) };
  });
}

const duration = ({ time, end = time }: Moment): number => end - time;

export function placeText(place: FindingPlace, number: number): string[] {
  const lane = place.lane === undefined ? '' : `, lane ${place.lane}`;
  const proxy = place.proxy === 'async' ? ', async proxy' : '';
  const title = `(${number}) ${place.what ?? 'here'} ${place.object ?? ''}`.trimEnd();
  if (place.file === '') return [title];
  return [title, `${baseName(place.file)}:${place.line}${lane}${proxy}`];
}
