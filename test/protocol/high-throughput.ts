import { lastSendOf } from '../../generator/reuse.js';
import type { HighThroughputCall } from './calls.js';
import type { Mutation } from './model.js';
import { type Place, RankSteps, versionsPerResult } from './rank-steps.js';
import type { Phase, Step, Thread } from './steps.js';

const noArrivals: readonly (Mutation | undefined)[] = [
  'no arrival wait',
  'no arrival and no ready wait',
];
const noReady: readonly (Mutation | undefined)[] = [
  'no ready wait',
  'no arrival and no ready wait',
];

type Result = { readonly dispatch: number; version: number };
type Input = Omit<Place, 'access' | 'region'> & { readonly region: 'recv' | 'output' };

interface DispatchKind {
  /** Whether it follows the routing of a handle, which needs no counts. */
  readonly isCached?: boolean;
  /** What it sends, where that is a result. */
  readonly x?: (rank: number) => Input;
}

/** High-throughput calls of one rank, as phases of its program. */
export class HighThroughputRank extends RankSteps {
  private readonly results: Result[] = [];
  private numCombines = 0;

  phasesOf(call: HighThroughputCall): Phase[] {
    switch (call) {
      case 'dispatch':
        return this.dispatch();
      case 'dispatchCached':
        return this.dispatch({ isCached: true });
      case 'dispatchResult':
        return this.dispatch({ x: this.inPlace(this.oldest(lastSendOf(this.model))) });
      case 'dispatchLate':
        return this.dispatch({ x: this.inPlace(this.oldest(lastSendOf(this.model) + 1)) });
      case 'combineNewest':
        return this.combine(this.inPlace(1));
      case 'combineOldest':
        return this.combine(this.inPlace(this.oldest()));
      case 'combineAcross':
        return this.combine(this.across());
      case 'combineOutput':
        return this.combine(this.output(0));
      case 'combineMixed':
        return this.combine(this.mixed());
      case 'combineLate':
        return this.combine(this.output(-1));
      case 'read':
        return [[[[this.read(this.oldest())]]]];
      case 'readStale':
        return [[[[this.read(this.model.liveResults + 1)]]]];
      case 'write':
        return [[[[this.writeResult()]]]];
    }
  }

  private dispatch(kind: DispatchKind = {}): Phase[] {
    const epoch = this.results.length + 1;
    this.results.push({ dispatch: epoch, version: epoch * versionsPerResult });
    const { mutation } = this.model;
    const awaits = this.peers.map((src) =>
      this.step('await', this.arrivals(this.rank, src, 'dispatch awaits arrivals', epoch), {
        count: noArrivals.includes(mutation) ? 0 : epoch * this.model.channels,
      }),
    );
    const tail = [awaits, this.check('kernel succeeds', 'no check before a dispatch succeeds')];
    return [this.channels.map((channel) => this.dispatchChannel(channel, epoch, kind)), [tail]];
  }

  private dispatchChannel(channel: number, epoch: number, { isCached, x }: DispatchKind): Thread {
    const { credit, mutation, numRecvBuffers, ranks } = this.model;
    const word = (region: 'rank_counts' | 'expert_counts', at: number, src: number) => ({
      region,
      at: `${at}.${src}`,
      version: epoch,
      content: epoch,
    });
    const publishes = (region: 'rank_counts' | 'expert_counts', isReleased: boolean): Step[] =>
      this.peers.map((peer) =>
        this.write(
          { ...word(region, peer, this.rank), access: 'dispatch publishes counts' },
          { relaxed: !isReleased },
        ),
      );
    // A block that waits for every rank's credit must not depend on another of its own rank.
    const published = [
      ...(credit || (channel === 0 && !isCached)
        ? publishes('rank_counts', credit && mutation !== 'unreleased credit')
        : []),
      ...(channel === 0 && !isCached ? publishes('expert_counts', false) : []),
    ];
    const isFenced =
      mutation === 'proxy fence in the first block only'
        ? channel === 0
        : mutation !== 'no proxy fence after the credit';
    const reads = (region: 'rank_counts' | 'expert_counts', sources: readonly number[]): Step[] =>
      sources.map((src) =>
        this.step(
          mutation === 'no count wait' ? 'read' : 'wait',
          {
            ...word(region, this.rank, src),
            access: 'dispatch reads counts',
          },
          { relaxed: true },
        ),
      );
    const credits = (sources: readonly number[]): Step[] =>
      reads('rank_counts', sources).map((step) => ({
        ...step,
        relaxed: mutation === 'relaxed credit',
        isFenced,
      }));
    const givesNoCredit =
      mutation === 'no credit wait' || (isCached && mutation === 'no credit wait in cached calls');
    const awaited = credit && !givesNoCredit ? credits(this.peers) : [];
    const bases =
      isCached || this.model.isSlotted ? [] : reads('rank_counts', this.peers.slice(0, this.rank));
    const all =
      channel === 0 && !isCached
        ? [...reads('rank_counts', this.peers), ...reads('expert_counts', this.peers)]
        : [];
    const isLate = mutation === 'counts read after arrival';
    const rows = (dst: number): Step =>
      this.write(
        {
          region: 'recv',
          at: `${dst}.${epoch % numRecvBuffers}`,
          access: 'dispatch writes rows',
          version: epoch * versionsPerResult,
          content: epoch,
        },
        {
          part: this.rank * this.model.channels + channel,
          parts: ranks * this.model.channels,
          isAsync: true,
        },
      );
    // Without the other ranks' credit a destination's rows wait for that destination alone.
    const loads = x ? [this.sentRows(x)] : [];
    const send: Step[][] =
      mutation === 'credit of the destination only'
        ? this.peers.flatMap((dst) => [credits([dst]), [rows(dst)]])
        : [[...loads, ...awaited], bases, this.peers.map(rows)];
    if (this.model.checks === true && !isLate) {
      // The block's roles send rows and wait for counts side by side: one may give up while the other sends.
      send.push([...(send.pop() ?? []), ...all.splice(0)]);
    }
    const posts = this.peers.map((dst) =>
      this.step('post', this.arrivals(dst, this.rank, 'dispatch posts arrival', epoch)),
    );
    return [
      this.check('kernel starts', 'no check at start'),
      [this.epochWord('dispatch', channel, epoch, 'reads')],
      published,
      ...send,
      ...(isLate ? [posts, all] : [all, posts]),
      [this.epochWord('dispatch', channel, epoch, 'writes')],
      [
        this.write({
          region: 'dispatch_ticket',
          at: `${this.rank}`,
          access: 'dispatch takes ticket',
          version: epoch,
          content: epoch,
        }),
      ],
    ];
  }

  private combine(inputOf: (rank: number) => Input): Phase[] {
    this.numCombines += 1;
    const epoch = this.numCombines;
    const { mutation } = this.model;
    const parity = mutation === 'one ready parity' ? 0 : epoch % 2;
    const ready = (at: number, src: number) => ({
      region: 'ready' as const,
      at: `${at}.${parity}.${src}`,
      version: epoch,
      content: epoch,
    });
    // Lazily, a rank looks at the words of those that hold its tokens: here rank 0's stayed at home.
    const sources = mutation === 'lazy ready words' && this.rank === 0 ? [0] : this.peers;
    const isFenced = mutation !== 'no proxy fence before the pull';
    const block = (channel: number): Thread => [
      this.check('kernel starts', 'no check at start'),
      [this.epochWord('combine', channel, epoch, 'reads')],
      this.peers.map((peer) =>
        this.write({ ...ready(peer, this.rank), access: 'combine publishes ready' }),
      ),
      sources.map((src) =>
        this.step(
          noReady.includes(mutation) ? 'read' : 'wait',
          { ...ready(this.rank, src), access: 'combine reads ready' },
          { isFenced },
        ),
      ),
      sources.map((src) =>
        this.step('read', { ...inputOf(src), access: 'combine pulls rows' }, { isAsync: true }),
      ),
      this.check('kernel succeeds', 'no check before a combine succeeds'),
      [this.epochWord('combine', channel, epoch, 'writes')],
    ];
    const own = inputOf(this.rank);
    const fill = [[[this.write({ ...own, access: 'caller writes input' })]]];
    return [...(own.region === 'output' ? [fill] : []), this.channels.map(block)];
  }

  /** The live result `age` dispatches back (1: the newest), as combine's input. */
  private inPlace(age: number): (rank: number) => Input {
    const { dispatch, version } = this.result(age);
    const buffer = dispatch % this.model.numRecvBuffers;
    return (rank) => ({ region: 'recv', at: `${rank}.${buffer}`, version, content: dispatch });
  }

  /** The output buffer that belongs to the next combine, or by `shift` to one before it. */
  private output(shift: number): (rank: number) => Input {
    const content = this.numCombines + 1;
    const buffer = (content + shift) % this.model.numOutputBuffers;
    return (rank) => ({ region: 'output', at: `${rank}.${buffer}`, version: content, content });
  }

  private mixed(): (rank: number) => Input {
    const inPlace = this.inPlace(1);
    const output = this.output(0);
    return (rank) => (rank % 2 === 0 ? inPlace(rank) : output(rank));
  }

  private across(): (rank: number) => Input {
    const [oldest, newest] = [this.inPlace(this.oldest()), this.inPlace(1)];
    return (rank) => (rank % 2 === 0 ? oldest(rank) : newest(rank));
  }

  private sentRows(x: (rank: number) => Input): Step {
    const place = { ...x(this.rank), access: 'dispatch reads result' } as const;
    return this.step('read', place, { isAsync: true });
  }

  private read(age: number): Step {
    return this.step('read', { ...this.inPlace(age)(this.rank), access: 'caller reads result' });
  }

  private writeResult(): Step {
    const age = this.oldest();
    this.result(age).version += 1;
    return this.write({ ...this.inPlace(age)(this.rank), access: 'caller writes result' });
  }

  private oldest(most = this.model.liveResults): number {
    return Math.min(most, this.results.length);
  }

  private result(age: number): Result {
    const result = this.results.at(-age);
    if (result === undefined)
      throw new RangeError(`age: expected at most ${this.results.length}, received ${age}`);
    return result;
  }

  private arrivals(at: number, src: number, access: Place['access'], epoch: number): Place {
    return { region: 'arrivals', at: `${at}.${src}`, access, version: epoch, content: epoch };
  }

  private epochWord(
    operation: 'dispatch' | 'combine',
    channel: number,
    epoch: number,
    verb: 'reads' | 'writes',
  ): Step {
    const content = verb === 'reads' ? epoch - 1 : epoch;
    return this.step(verb === 'reads' ? 'read' : 'write', {
      region: `${operation}_epoch`,
      at: `${this.rank}.${channel}`,
      access: `${operation} ${verb} epoch`,
      version: content,
      content,
    });
  }
}
