import type { FailureMutation, Model } from './model.js';
import type { Step } from './steps.js';

/** Where a step happens, and on which contents. */
export type Place = Pick<Step, 'region' | 'access' | 'version' | 'content'> & {
  readonly at: string;
};

/** Contents that a caller may change have room for this many versions. */
export const versionsPerResult = 64;

/** Makes the steps of one rank, call after call. */
export class RankSteps {
  readonly peers: readonly number[];
  readonly channels: readonly number[];
  call = 0;

  constructor(
    readonly model: Model,
    readonly rank: number,
  ) {
    this.peers = Array.from({ length: model.ranks }, (_, peer) => peer);
    this.channels = Array.from({ length: model.channels }, (_, channel) => channel);
  }

  write(place: Place, more: Partial<Step> = {}): Step {
    return this.step('write', place, more);
  }

  step(kind: Step['kind'], place: Place, more: Partial<Step> = {}): Step {
    const { region, at, access, version, content } = place;
    return {
      kind,
      region,
      place: `${region}[${at}]`,
      access,
      version,
      part: more.part ?? 0,
      parts: more.parts ?? 1,
      relaxed: more.relaxed ?? false,
      isAsync: more.isAsync ?? false,
      isFenced: more.isFenced ?? false,
      count: more.count ?? 0,
      rank: this.rank,
      call: this.call,
      content,
    };
  }

  /** Whether the rank has given up, where kernels ask. */
  check(access: Place['access'], without: FailureMutation): Step[] {
    const { checks, mutation } = this.model;
    if (checks !== true || mutation === without) return [];
    return [
      this.step('check', { region: 'abort', at: `${this.rank}`, access, version: 0, content: 0 }),
    ];
  }
}
