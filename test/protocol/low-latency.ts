import type { Order } from './low-latency-host.js';
import { LowLatencyPlaces } from './low-latency-places.js';
import { versionsPerResult } from './rank-steps.js';
import type { Phase, Step, Thread } from './steps.js';

type Send = Extract<Order, { op: 'send' }>;
type Publish = Extract<Order, { op: 'publish' }>;

/** Low-latency calls of one rank, as phases of its program. */
export class LowLatencyRank extends LowLatencyPlaces {
  phasesOf(order: Order): Phase[] {
    switch (order.op) {
      case 'send':
        return this.send(order);
      case 'receive':
        return this.receive(order.epoch);
      case 'publish':
        return this.publish(order);
      case 'pull':
        return this.pull(order.epoch, order.handle);
      case 'fill':
        return [[[[this.fill(order.epoch)]]]];
      case 'use':
        return order.results.map((epoch) => [[[this.use(epoch)], [this.change(epoch)]]]);
    }
  }

  private send(order: Send): Phase[] {
    const { epoch } = order;
    this.versions.set(epoch, epoch * versionsPerResult);
    const channels = this.channels.map((channel) => this.sendChannel(channel, order));
    return [channels, ...(order.isWhole ? [[this.tail(epoch)]] : [])];
  }

  private sendChannel(channel: number, { epoch, x }: Send): Thread {
    const isFirst = channel === 0;
    const { channels } = this.model;
    const words = this.peers
      .filter((peer) => peer % channels === channel)
      .map((peer) =>
        this.write(this.count(peer, this.rank, epoch, 'send publishes counts'), { relaxed: true }),
      );
    const isLate = this.is('ll: counts published after arrivals');
    const posts = this.peers.map((dst) =>
      this.step('post', this.arrivals(dst, this.rank, epoch, 'send posts arrival')),
    );
    const rows = this.rows(channel, epoch);
    return [
      this.check('kernel starts', 'no check at start'),
      [this.epochWord('dispatch', channel, epoch, 'reads')],
      isFirst ? [this.handleWrite('send writes handle', epoch, epoch)] : [],
      [...this.startedWords(epoch), ...(isLate ? [] : words)],
      this.lowerCounts(epoch),
      x.map((result) => this.result(result, 'send reads result', { isAsync: true })),
      ...(this.is('ll: arrival posted before rows') ? [posts, ...rows] : [...rows, posts]),
      isLate ? words : [],
      [this.epochWord('dispatch', channel, epoch, 'writes')],
      [this.write(this.place('ll_dispatch_ticket', `${this.rank}`, epoch, 'send takes ticket'))],
    ];
  }

  /** The credit, and the rows that it is for. */
  private rows(channel: number, epoch: number): Step[][] {
    const { features, numLlRecvBuffers = 1, ranks, channels } = this.model;
    const buffer = epoch % numLlRecvBuffers;
    const toRank = (dst: number): Step =>
      this.write(
        {
          ...this.place('ll_recv', `${dst}.${buffer}`, epoch, 'send writes rows'),
          version: epoch * versionsPerResult,
        },
        { part: this.rank * channels + channel, parts: ranks * channels, isAsync: true },
      );
    const isAwaited = !(
      this.is('ll: credit read, not awaited') || this.is('ll: no arrival and no credit wait')
    );
    const credits = (sources: readonly number[]): Step[] =>
      sources.map((src) =>
        this.step(
          isAwaited ? 'wait' : 'read',
          this.place('ll_started', this.wordAt(this.rank, src, epoch), epoch, 'send reads started'),
          {
            relaxed: this.is('ll: relaxed credit'),
            isFenced: !this.is('ll: no proxy fence after the credit'),
          },
        ),
      );
    if (!features?.hasLlCredit || this.is('ll: no credit wait')) return [this.peers.map(toRank)];
    return this.is('ll: credit of the destination only')
      ? this.peers.flatMap((dst) => [credits([dst]), [toRank(dst)]])
      : [credits(this.peers), this.peers.map(toRank)];
  }

  private startedWords(epoch: number): Step[] {
    if (this.model.features?.hasLlCredit !== true) return [];
    return this.peers.map((peer) =>
      this.write(
        this.place(
          'll_started',
          this.wordAt(peer, this.rank, epoch),
          epoch,
          'send publishes started',
        ),
        { relaxed: this.is('ll: unreleased credit') },
      ),
    );
  }

  /** Rows lie behind those of lower ranks. */
  private lowerCounts(epoch: number): Step[] {
    const kind = this.is('ll: no count wait') ? 'read' : 'wait';
    return this.peers
      .slice(0, this.rank)
      .map((src) =>
        this.step(kind, this.count(this.rank, src, epoch, 'send reads counts'), { relaxed: true }),
      );
  }

  private receive(epoch: number): Phase[] {
    const handle = this.place(
      'll_handle',
      this.handleAt('dispatch', epoch),
      epoch,
      'receive reads handle',
    );
    return [
      [
        [
          this.check('kernel starts', 'no check at start'),
          [this.step('read', handle)],
          ...this.tail(epoch),
        ],
      ],
    ];
  }

  /** The wait for all rows, and what is told of them. */
  private tail(epoch: number): Thread {
    const awaits = this.peers.map((src) =>
      this.step('await', this.arrivals(this.rank, src, epoch, 'receive awaits arrivals'), {
        count: this.numArrivals(epoch),
      }),
    );
    const counts = this.peers.map((src) =>
      this.step('read', this.count(this.rank, src, epoch, 'receive reads counts')),
    );
    const isEarly = this.is('ll: counts read before arrivals');
    return [
      ...(isEarly ? [counts, awaits] : [awaits, counts]),
      this.check('kernel succeeds', 'no check before a dispatch succeeds'),
    ];
  }

  private numArrivals(epoch: number): number {
    if (this.is('ll: no arrival wait') || this.is('ll: no arrival and no credit wait')) return 0;
    const { channels, ranks } = this.model;
    return epoch * channels * (this.is('ll: one arrival counter for all sources') ? ranks : 1);
  }

  private publish({ epoch, handle, isFilled, isWhole }: Publish): Phase[] {
    const fill: Phase[] = isFilled ? [] : [[[[this.fill(epoch)]]]];
    const kept = this.handleWrite('publish writes handle', handle, epoch);
    if (!isWhole) {
      const block: Thread = [
        this.check('kernel starts', 'no check at start'),
        [this.epochWord('combine', 0, epoch, 'reads')],
        this.readyWords(epoch),
        [
          ...this.channels.map((channel) => this.epochWord('combine', channel, epoch, 'writes')),
          kept,
        ],
      ];
      return [...fill, [block]];
    }
    const block = (channel: number): Thread => [
      this.check('kernel starts', 'no check at start'),
      [this.epochWord('combine', channel, epoch, 'reads')],
      [...this.readyWords(epoch), ...(channel === 0 ? [kept] : [])],
      ...this.pullRows(epoch),
      [this.epochWord('combine', channel, epoch, 'writes')],
    ];
    return [...fill, this.channels.map(block)];
  }

  private pull(epoch: number, handle: number): Phase[] {
    const kept = this.place(
      'll_handle',
      this.handleAt('combine', handle),
      epoch,
      'pull reads handle',
    );
    return [
      this.channels.map(() => [
        this.check('kernel starts', 'no check at start'),
        [this.step('read', kept)],
        ...this.pullRows(epoch),
      ]),
    ];
  }

  private readyWords(epoch: number): Step[] {
    return this.peers.map((peer) =>
      this.write(this.ready(peer, this.rank, epoch, 'publish writes ready'), {
        relaxed: this.is('ll: unreleased ready words'),
      }),
    );
  }

  private pullRows(epoch: number): Step[][] {
    // Lazily, a rank looks at the words of those that hold its tokens: here rank 0's stayed at home.
    const sources = this.is('ll: lazy ready words') && this.rank === 0 ? [0] : this.peers;
    return [
      sources.map((src) =>
        this.step(
          this.is('ll: no ready wait') ? 'read' : 'wait',
          this.ready(this.rank, src, epoch, 'pull reads ready'),
          { isFenced: !this.is('ll: no proxy fence before the pull') },
        ),
      ),
      sources.map((src) =>
        this.step('read', this.input(src, epoch, 'pull reads rows'), { isAsync: true }),
      ),
      this.check('kernel succeeds', 'no check before a combine succeeds'),
    ];
  }

  private fill(epoch: number): Step {
    return this.write(this.input(this.rank, epoch, 'caller writes input'));
  }

  private use(epoch: number): Step {
    return this.result(epoch, 'caller reads result');
  }

  private change(epoch: number): Step {
    const version = (this.versions.get(epoch) as number) + 1;
    this.versions.set(epoch, version);
    return { ...this.result(epoch, 'caller writes result'), kind: 'write' };
  }
}
