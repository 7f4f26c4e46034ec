import type { Mutation } from './model.js';
import { type Place, RankSteps } from './rank-steps.js';
import type { Step } from './steps.js';

type Access = Place['access'];

/** Where low-latency calls of one rank find words and rows. */
export class LowLatencyPlaces extends RankSteps {
  /** Of results, as this rank has changed them. */
  protected readonly versions = new Map<number, number>();

  protected result(epoch: number, access: Access, more: Partial<Step> = {}): Step {
    const { numLlRecvBuffers = 1 } = this.model;
    const at = `${this.rank}.${epoch % numLlRecvBuffers}`;
    const version = this.versions.get(epoch) as number;
    return this.step('read', { ...this.place('ll_recv', at, epoch, access), version }, more);
  }

  protected input(rank: number, epoch: number, access: Access): Place {
    const { numLlOutputBuffers = 1 } = this.model;
    return this.place('ll_output', `${rank}.${epoch % numLlOutputBuffers}`, epoch, access);
  }

  protected ready(at: number, src: number, epoch: number, access: Access): Place {
    const { numLlReadyBuffers = this.model.numLlOutputBuffers ?? 1 } = this.model;
    return this.place('ll_ready', `${at}.${epoch % numLlReadyBuffers}.${src}`, epoch, access);
  }

  protected count(at: number, src: number, epoch: number, access: Access): Place {
    return this.place('ll_counts', this.wordAt(at, src, epoch), epoch, access);
  }

  protected wordAt(at: number, src: number, epoch: number): string {
    const { numLlCountBuffers = 1 } = this.model;
    return `${at}.${epoch % numLlCountBuffers}.${src}`;
  }

  protected arrivals(at: number, src: number, epoch: number, access: Access): Place {
    const isShared = this.is('ll: one arrival counter for all sources');
    return this.place('ll_arrivals', isShared ? `${at}` : `${at}.${src}`, epoch, access);
  }

  protected epochWord(
    operation: 'dispatch' | 'combine',
    channel: number,
    epoch: number,
    verb: 'reads' | 'writes',
  ): Step {
    const phase = operation === 'dispatch' ? 'send' : 'publish';
    const at = `${this.rank}.${channel}`;
    const content = verb === 'reads' ? epoch - 1 : epoch;
    const place = this.place(`ll_${operation}_epoch`, at, content, `${phase} ${verb} epoch`);
    return this.step(verb === 'reads' ? 'read' : 'write', place);
  }

  protected handleWrite(
    access: 'send writes handle' | 'publish writes handle',
    handle: number,
    epoch: number,
  ): Step {
    const word = access === 'send writes handle' ? 'dispatch' : 'combine';
    return this.write(this.place('ll_handle', this.handleAt(word, handle), epoch, access));
  }

  protected handleAt(word: 'dispatch' | 'combine', handle: number): string {
    return `${this.rank}.${handle}.${word}`;
  }

  protected place(region: Place['region'], at: string, epoch: number, access: Access): Place {
    return { region, at, access, version: epoch, content: epoch };
  }

  protected is(mutation: Mutation): boolean {
    return this.model.mutation === mutation;
  }
}
