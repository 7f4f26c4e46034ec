import { describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import type { HighThroughputSpec } from '../../../native/spec-types.js';
import { buildSpec } from '../../support/built.js';
import { difference, dispatchCall, expectedOutputs } from '../../support/exchange.js';
import {
  callHooks,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  type Flight,
  llOf,
  makeCalls,
  patterns,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { type Random, randomFrom } from '../../support/random.js';
import { dispatchInputs, unequalTokens } from '../../support/routing.js';

// Anything that calls may do, in any order, without ever waiting on the host.

// `npm run test:long` sets it.
const scale = Number(process.env.EPGEN_TEST_SCALE ?? 1);

const numWindows = 2;

interface Sums {
  readonly flight: Flight;
  readonly combined: ReturnType<typeof combineTokens>;
}

/** What is under way on one window. */
interface Lane {
  readonly window: number;
  /** Sent, not received, by the number of the dispatch. */
  sent: Sent<Flight>[];
  /** Received, to be combined any number of times. */
  arrived: Flight[];
  /** Combined, the sums not received, by the number of the combine. */
  summing: Sent<Sums>[];
  numDispatches: number;
  numCombines: number;
}

interface Sent<Of> {
  readonly number: number;
  readonly of: Of;
}

class Soak {
  readonly flaws: Promise<string[]>[] = [];
  numCalls = 0;
  readonly #group: Group;
  readonly #spec: HighThroughputSpec;
  readonly #random: Random;
  readonly #lanes: readonly Lane[];

  constructor(group: Group, spec: HighThroughputSpec, random: Random) {
    this.#group = group;
    this.#spec = spec;
    this.#random = random;
    this.#lanes = Array.from({ length: numWindows }, (_, window) => {
      return { window, sent: [], arrived: [], summing: [], numDispatches: 0, numCombines: 0 };
    });
  }

  /** One operation of those that can come now. */
  next(): void {
    const lane = this.#lanes[this.#random(numWindows)]!;
    this.#delay(lane);
    const { inFlight } = llOf(this.#spec);
    const hasRoom = (sent: readonly Sent<unknown>[], number: number) =>
      sent.every((one) => number - one.number < inFlight);
    const operations = [
      ...(hasRoom(lane.sent, lane.numDispatches)
        ? [() => this.#send(lane, false), () => this.#send(lane, true)]
        : []),
      ...(lane.sent.length > 0 ? [() => this.#receive(lane)] : []),
      ...(lane.arrived.length > 0 && hasRoom(lane.summing, lane.numCombines)
        ? [() => this.#combine(lane, false), () => this.#combine(lane, true)]
        : []),
      ...(lane.summing.length > 0 ? [() => this.#receiveSums(lane)] : []),
      () => this.#highThroughput(lane),
    ];
    operations[this.#random(operations.length)]!();
    this.numCalls += 1;
  }

  /** Receives all that was sent. */
  drain(): void {
    for (const lane of this.#lanes) {
      while (lane.sent.length > 0) this.#receive(lane);
      while (lane.summing.length > 0) this.#receiveSums(lane);
    }
  }

  #delay({ window }: Lane): void {
    if (this.#random(3) > 0) return;
    const rank = this.#random(this.#spec.ranks);
    const stream = [0, 1 + window][this.#random(2)]!;
    delayRank(this.#group, rank, this.#random(500_000), stream);
  }

  /** Anything that results do not depend on. */
  #options(lane: Lane, returnRecvHook: boolean): object {
    const { channels } = this.#spec;
    const most = channels.ll === 'chip' ? llOf(this.#spec).maxTokensPerRank : channels.ll;
    return {
      ...(returnRecvHook ? { returnRecvHook } : { asyncFinish: this.#random(3) === 0 }),
      ...(this.#random(2) === 0 && { numChannels: 1 + this.#random(most) }),
      ...(lane.window > 0 && { window: lane.window }),
    };
  }

  #send(lane: Lane, hook: boolean): void {
    const spec = this.#spec;
    const seed = this.numCalls;
    const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, seed);
    const pattern = patterns[this.#random(patterns.length)]!;
    const inputs = drawTokens(spec, { seed, numTokens, pattern });
    const want = expectedRows(spec, inputs);
    const options = this.#options(lane, hook);
    const received = dispatchTokens(this.#group, spec, inputs, () => options);
    const flight = { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
    const number = lane.numDispatches++;
    if (hook) lane.sent.push({ number, of: flight });
    else this.#arrive(lane, flight);
  }

  #receive(lane: Lane): void {
    const [sent] = lane.sent.splice(this.#random(lane.sent.length), 1);
    callHooks(sent!.of.received);
    this.#arrive(lane, sent!.of);
  }

  #arrive(lane: Lane, flight: Flight): void {
    const { received, want } = flight;
    this.flaws.push(receivedFlaws(this.#spec, `call ${this.numCalls}`, received, want));
    lane.arrived = [...lane.arrived, flight].slice(-3);
  }

  #combine(lane: Lane, hook: boolean): void {
    const idle = lane.arrived.filter((flight) =>
      lane.summing.every(({ of }) => of.flight !== flight),
    );
    const flight = idle[this.#random(idle.length)];
    if (flight === undefined) return;
    const { window: _, ...options } = this.#options(lane, hook) as { readonly window?: number };
    const canCopyZero = llOf(this.#spec).combineDtype === 'bf16';
    const combined = combineTokens(this.#group, this.#spec, flight, (r) => {
      if (!canCopyZero || this.#random(2) === 0) return options;
      const view = this.#group.ranks[r]!.getNextLowLatencyCombineBuffer(flight.received[r]!.handle);
      view.copyFrom(flight.outputs[r]!).catch(() => undefined); // reading the sums tells too
      return { ...options, x: view };
    });
    const number = lane.numCombines++;
    if (hook) lane.summing.push({ number, of: { flight, combined } });
    else this.#check(combined, flight);
  }

  #receiveSums(lane: Lane): void {
    const [sums] = lane.summing.splice(this.#random(lane.summing.length), 1);
    const { combined, flight } = sums!.of;
    callHooks(combined);
    this.#check(combined, flight);
  }

  #check(combined: Sums['combined'], flight: Flight): void {
    this.flaws.push(sumsFlaws(this.#spec, `call ${this.numCalls}`, combined, flight));
  }

  /** A dispatch and, on its rows in place, a combine; of the rows only is looked at here. */
  #highThroughput({ window }: Lane): void {
    const { ranks, experts, topk, hidden, ht } = this.#spec;
    const seed = this.numCalls;
    const numTokens = unequalTokens(ranks, ht.maxTokensPerRank, seed);
    const inputs = dispatchInputs({
      ...{ ranks, experts, topk, hidden, seed, numTokens },
      pattern: 'distinct',
    });
    const want = expectedOutputs(
      this.#spec,
      inputs.map((input) => ({ ...input, topkIdx: this.#indices(input.topkIdx) })),
    );
    const received = this.#group.enqueueDispatch(
      this.#group.ranks.map((rank, r) => {
        const input = { ...inputs[r]!, topkIdx: this.#indices(inputs[r]!.topkIdx) };
        return { ...dispatchCall(rank, this.#spec, input), window };
      }) as never,
    ) as unknown as readonly { x: { toArray(): Promise<Uint16Array> }; handle: never }[];
    const rows = received.map(async ({ x }, r) => {
      const { numRecvTokens, x: bits } = want[r]!;
      const got = (await x.toArray()).subarray(0, numRecvTokens * hidden);
      return difference(`call ${seed} high rank ${r}`, hidden, got, bits);
    });
    this.flaws.push(Promise.all(rows).then((flaws) => flaws.filter((flaw) => flaw !== undefined)));
    if (this.#random(2) === 0) {
      this.#group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })) as never);
    }
  }

  #indices(topkIdx: BigInt64Array): BigInt64Array | Int32Array {
    return this.#spec.topkIdx === 'i64' ? topkIdx : Int32Array.from(topkIdx, Number);
  }
}

describe.each([
  ['two ranks, hidden 64', 300],
  ['two ranks, top-32, UE8M0, fp8 both ways', 100],
  ['three ranks, one block of scales, fp8 both ways', 200],
  ['five ranks, top-6', 200],
  ['eight ranks, hidden 16, four in flight', 120],
] as const satisfies readonly (readonly [LowLatencySpecName, number])[])('%s', (name, numCalls) => {
  test(`any ${numCalls * scale} operations in 2 windows, ranks late at random`, async () => {
    const built = await buildSpec(lowLatencySpecs[name]);
    // Groups of a few hundred calls: what they give is compared only when they have ended.
    for (let part = 0; part < scale; part++) {
      await using group = await built.open({
        ...{ seed: 111 + part, windows: numWindows, deadlineMs: 60_000 },
      });
      const soak = new Soak(group, built.spec, randomFrom(111, part, built.spec.ranks));
      makeCalls(group, numCalls, () => soak.next());
      soak.drain();
      expect((await Promise.all(soak.flaws)).flat()).toEqual([]);
    }
  }, 600_000);
});
