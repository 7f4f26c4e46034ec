import { llLastSendOf } from '../../generator/reuse.js';
import type { LowLatencyCall } from './low-latency-calls.js';
import type { Model } from './model.js';

/** What one rank enqueues. Dispatches and combines are counted from 1. */
export type Order =
  /** A dispatch that also reads these results. */
  | {
      readonly op: 'send';
      readonly epoch: number;
      readonly x: readonly number[];
      readonly isWhole: boolean;
    }
  | { readonly op: 'receive'; readonly epoch: number }
  /** A combine of a handle; its input is written before unless that was done already. */
  | {
      readonly op: 'publish';
      readonly epoch: number;
      readonly handle: number;
      readonly isFilled: boolean;
      readonly isWhole: boolean;
    }
  | { readonly op: 'pull'; readonly epoch: number; readonly handle: number }
  | { readonly op: 'fill'; readonly epoch: number }
  | { readonly op: 'use'; readonly results: readonly number[] };

interface RankCalls {
  readonly received: Set<number>;
  readonly pulled: Set<number>;
}

/** What the host lets the ranks of a group enqueue. */
export class LowLatencyHost {
  private readonly ranks: readonly RankCalls[];
  private readonly inFlight: number;
  private readonly handles: number[] = [];
  private numSends = 0;
  private isFilled = false;

  constructor(private readonly model: Model) {
    this.inFlight = model.llInFlight ?? 0;
    this.ranks = Array.from({ length: model.ranks }, () => ({
      received: new Set<number>(),
      pulled: new Set<number>(),
    }));
  }

  /** By rank; undefined where the host refuses the call. */
  take(call: LowLatencyCall): (readonly Order[])[] | undefined {
    switch (call) {
      case 'llDispatch':
        return this.send(true);
      case 'llSend':
        return this.send(false);
      case 'llReceive':
        return this.receive(this.every(), (waiting) => waiting[0]);
      case 'llReceiveNewest':
        return this.receive(this.every(), (waiting) =>
          waiting.length > 1 ? waiting.at(-1) : undefined,
        );
      case 'llReceiveFirst':
        return this.receive([0], (waiting) => waiting[0]);
      case 'llReceiveOthers':
        return this.receive(this.behind('received'), (waiting) => waiting[0]);
      case 'llCombine':
        return this.publish(true);
      case 'llPublish':
        return this.publish(false);
      case 'llPull':
        return this.pull(this.every(), (waiting) => waiting[0]);
      case 'llPullNewest':
        return this.pull(this.every(), (waiting) =>
          waiting.length > 1 ? waiting.at(-1) : undefined,
        );
      case 'llPullFirst':
        return this.pull([0], (waiting) => waiting[0]);
      case 'llPullOthers':
        return this.pull(this.behind('pulled'), (waiting) => waiting[0]);
      case 'llUse':
        return this.use();
      case 'llFill':
        return this.fill();
    }
  }

  private send(isWhole: boolean): Order[][] | undefined {
    if (!this.mayBegin('received', this.numSends + 1)) return undefined;
    const epoch = ++this.numSends;
    return this.ranks.map(({ received }) => {
      const x = [...received].filter((result) => result >= epoch - this.lastSend());
      if (isWhole) received.add(epoch);
      return [{ op: 'send', epoch, x, isWhole }];
    });
  }

  private receive(
    ranks: readonly number[],
    choose: (waiting: readonly number[]) => number | undefined,
  ): Order[][] | undefined {
    return this.finish(ranks, 'received', choose, (epoch) => ({ op: 'receive', epoch }));
  }

  private publish(isWhole: boolean): Order[][] | undefined {
    const epoch = this.handles.length + 1;
    const handle = this.freeHandle();
    if (handle === undefined || !this.mayBegin('pulled', epoch)) return undefined;
    const isFilled = this.isFilled;
    this.handles.push(handle);
    this.isFilled = false;
    return this.ranks.map(({ pulled }) => {
      if (isWhole) pulled.add(epoch);
      return [{ op: 'publish', epoch, handle, isFilled, isWhole }];
    });
  }

  private pull(
    ranks: readonly number[],
    choose: (waiting: readonly number[]) => number | undefined,
  ): Order[][] | undefined {
    return this.finish(ranks, 'pulled', choose, (epoch) => {
      return { op: 'pull', epoch, handle: this.handles[epoch - 1] as number };
    });
  }

  private use(): Order[][] {
    const lives = this.inFlight + Number(this.allows('host: results live for a call more'));
    return this.ranks.map(({ received }) => {
      const results = [...received].filter((epoch) => epoch > this.numSends - lives);
      return [{ op: 'use', results: results.sort((a, b) => a - b) }];
    });
  }

  private fill(): Order[][] {
    const epoch = this.handles.length + 1;
    const isEarly = this.allows('host: inputs are given out before the pull');
    if (this.isFilled || !(isEarly || this.mayBegin('pulled', epoch)))
      return this.ranks.map(() => []);
    this.isFilled = true;
    return this.ranks.map(() => [{ op: 'fill', epoch }]);
  }

  private finish(
    ranks: readonly number[],
    set: keyof RankCalls,
    choose: (waiting: readonly number[]) => number | undefined,
    order: (epoch: number) => Order,
  ): Order[][] | undefined {
    const chosen = ranks.map((rank) => choose(this.waiting(rank, set)));
    if (chosen.length === 0 || chosen.includes(undefined)) return undefined;
    return this.ranks.map((calls, rank) => {
      const epoch = chosen[ranks.indexOf(rank)];
      if (epoch === undefined) return [];
      calls[set].add(epoch);
      return [order(epoch)];
    });
  }

  /** Whether call `epoch` may be enqueued: the one so many before it has ended on every rank's stream. */
  private mayBegin(set: keyof RankCalls, epoch: number): boolean {
    if (this.allows('host: any calls of so many may be in flight')) {
      return this.ranks.every((_, rank) => this.waiting(rank, set).length < this.inFlight);
    }
    return (
      epoch <= this.inFlight || this.ranks.every((calls) => calls[set].has(epoch - this.inFlight))
    );
  }

  /** Calls of a rank that lack their second half, the oldest first. */
  private waiting(rank: number, set: keyof RankCalls): number[] {
    const numCalls = set === 'received' ? this.numSends : this.handles.length;
    const calls = Array.from({ length: numCalls }, (_, i) => i + 1);
    return calls.filter((epoch) => this.ranks[rank]?.[set].has(epoch) === false);
  }

  /** The newest that every rank has received and none has a combine of under way. */
  private freeHandle(): number | undefined {
    const busy = this.every().flatMap((rank) =>
      this.waiting(rank, 'pulled').map((epoch) => this.handles[epoch - 1]),
    );
    const mayShare = this.allows('host: a handle may have two combines in flight');
    for (let handle = this.numSends; handle > 0; handle--) {
      const isThere = this.ranks.every(({ received }) => received.has(handle));
      if (isThere && (mayShare || !busy.includes(handle))) return handle;
    }
    return undefined;
  }

  private every(): number[] {
    return this.ranks.map((_, rank) => rank);
  }

  private behind(set: keyof RankCalls): number[] {
    const most = Math.max(...this.ranks.map((calls) => calls[set].size));
    return this.every().filter((rank) => (this.ranks[rank]?.[set].size ?? 0) < most);
  }

  private lastSend(): number {
    const credit = this.model.features?.hasLlCredit ?? false;
    const more = Number(this.allows('host: results are sent on for a call more'));
    return llLastSendOf({ inFlight: this.inFlight, credit }) + more;
  }

  private allows(mutation: Model['mutation']): boolean {
    return this.model.mutation === mutation;
  }
}
