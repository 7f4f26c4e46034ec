import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import type { Group } from '../../../native/index.js';
import type { LowLatencyOutput } from '../../../native/reference/index.js';
import type { Built } from '../../support/built.js';
import { difference, expectExchange, windowBases } from '../../support/exchange.js';
import {
  callHooks,
  drawTokens,
  expectedRows,
  expectedSums,
  expectLowLatency,
  LowLatencyTokenTensors,
  llOf,
  patterns,
  receivedFlaws,
  rowsPerExpert,
  sumsFlaws,
} from '../../support/low-latency.js';
import { randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';
import { buildSpec } from '../harness/built.js';
import { host } from '../harness/host.js';
import { note } from '../harness/tree.js';
import { inputsOf, lowLatencyGpuSpec, rankCounts } from '../support/gpu-specs.js';
import { RawLowLatency, type UploadedTokens } from '../support/raw-low-latency.js';

const isOnGpu = host().backend === 'cuda';
/** The emulator takes a second for what a GPU does in a millisecond. */
const scaled = (onGpu: number, emulated: number) => (isOnGpu ? onGpu : emulated);

describe.each(rankCounts)('%i ranks', (numRanks) => {
  const variants = {
    'rows of bf16': {},
    'casts both ways, packed scales in columns, a credit': {
      ...{ dtype: 'fp8_e4m3', scaleDtype: 'ue8m0', scaleLayout: 'column', credit: true },
      combineDtype: 'fp8_e4m3',
    },
  };

  describe.each(Object.entries(variants))('%s', (_, ll) => {
    let built: Built;
    beforeAll(async () => {
      built = await buildSpec(lowLatencyGpuSpec(numRanks, ll));
    });

    const drawn = (seed: number) => {
      const { spec } = built;
      const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, seed);
      return drawTokens(spec, { seed, numTokens, pattern: patterns[seed % patterns.length]! });
    };

    test('random rows and routings of every kind, every bit compared', async () => {
      await using group = await built.open({ seed: 1 });
      for (let seed = 0; seed < scaled(3, 1) * patterns.length; seed++) {
        await expectLowLatency(built, group, drawn(seed), {
          hooks: seed % 2 === 1,
          combineFrom: seed % 3 === 0 && !('combineDtype' in ll) ? 'window' : 'tensor',
          givesOut: seed % 4 === 0,
          ...(seed % 5 === 0 && { numChannels: 1 + (seed % 7) }),
        });
      }
    });

    test('each rank in turn is far behind, and others with it', async () => {
      await using group = await built.open({ seed: 2, deadlineMs: 60_000 });
      const { spec } = built;
      const counts = Array.from({ length: numRanks }, (_, r) => (r === 0 ? 64 : 9 * r));
      const tensors = new LowLatencyTokenTensors(group, spec, counts);
      const flaws: Promise<string[]>[] = [];
      for (let call = 0; call < scaled(4, 1) * numRanks; call++) {
        const { written, ...filled } = tensors.fill(call);
        flaws.push(written.then(() => []));
        delay(group, call % numRanks, 20e6);
        const received = tensors.dispatch({ returnRecvHook: call % 2 === 0 });
        delay(group, (call + 1) % numRanks, 3e6);
        if (call % 2 === 0) callHooks(received);
        flaws.push(receivedFlaws(spec, `call ${call}`, received, filled.want));
        delay(group, (call + 2) % numRanks, 1e6);
        const combined = tensors.combine(received, { returnRecvHook: call % 3 === 0 });
        if (call % 3 === 0) callHooks(combined);
        flaws.push(sumsFlaws(spec, `call ${call}`, combined, filled));
      }
      expect((await Promise.all(flaws)).flat()).toEqual([]);
    });

    const numReplays = scaled('combineDtype' in ll ? 300 : 1000, 10);
    test(`${numReplays} replays of a pair, each with new routing, and eager calls among them`, async () => {
      await using group = await built.open({ seed: 3 });
      const { spec } = built;
      const counts = Array.from({ length: numRanks }, (_, r) => (r === 1 ? 3 : 8));
      const tensors = new LowLatencyTokenTensors(group, spec, counts);
      const pair = (hooks: boolean) => {
        const received = tensors.dispatch({ returnRecvHook: hooks });
        if (hooks) callHooks(received);
        return { received, combined: tensors.combine(received) };
      };
      await using graph = await group.capture(() => pair(false));
      for (let replay = 0; replay < numReplays; replay++) {
        const { written, ...filled } = tensors.fill(replay);
        const isEager = replay % 10 === 9;
        const { received, combined } = isEager ? pair(replay % 20 === 19) : graph.replay();
        const flaws = [
          receivedFlaws(spec, `replay ${replay}`, received, filled.want),
          sumsFlaws(spec, `replay ${replay}`, combined, filled),
        ];
        expect((await Promise.all(flaws)).flat()).toEqual([]);
        await written;
      }
      await graph.ended();
    }, 600_000);
  });

  describe('calls in halves', () => {
    let built: Built;
    beforeAll(async () => {
      built = await buildSpec(lowLatencyGpuSpec(numRanks));
    });

    test('two of each are under way, with other work between their halves', async () => {
      await using group = await built.open({ seed: 4, deadlineMs: 60_000 });
      const { spec } = built;
      const counts = Array.from({ length: numRanks }, (_, r) => 64 - 5 * r);
      const flights = [0, 1].map(() => new LowLatencyTokenTensors(group, spec, counts));
      const scratch = group.ranks.map((rank) => [
        rank.tensor('f32', [2 ** 16]),
        rank.tensor('f32', [2 ** 16]),
      ]);
      const work = () => {
        for (const [r, [from, to]] of scratch.entries()) {
          stateOf(group).callSync((raw) => raw.copy(r, to!.pointer, from!.pointer, 2 ** 18));
          delay(group, r, 50_000);
        }
      };
      const random = randomFrom(4, numRanks);
      const flaws: Promise<string[]>[] = [];
      for (let round = 0; round < scaled(100, 4); round++) {
        const filled = flights.map((tensors, f) => tensors.fill(2 * round + f));
        const order = random(2) === 0 ? [0, 1] : [1, 0];
        const received = flights.map((tensors) => tensors.dispatch({ returnRecvHook: true }));
        work();
        for (const f of order) callHooks(received[f]!);
        for (const f of order) {
          const what = `round ${round}, flight ${f}`;
          flaws.push(receivedFlaws(spec, what, received[f]!, filled[f]!.want));
        }
        const combined = flights.map((tensors, f) =>
          tensors.combine(received[f]!, { returnRecvHook: true }),
        );
        work();
        for (const f of order) callHooks(combined[f]!);
        for (const f of order) {
          flaws.push(sumsFlaws(spec, `round ${round}, flight ${f}`, combined[f]!, filled[f]!));
          flaws.push(filled[f]!.written.then(() => []));
        }
        expect((await Promise.all(flaws.splice(0))).flat()).toEqual([]);
      }
    }, 300_000);
  });

  const numAlternations = scaled(200, 6);
  test(`high-throughput and low-latency calls take turns ${numAlternations} times`, async () => {
    const built = await buildSpec(lowLatencyGpuSpec(numRanks));
    const { spec } = built;
    await using group = await built.open({ seed: 5 });
    const bases = windowBases(group);
    const counts = Array.from({ length: numRanks }, (_, r) => 8 + r);
    const tensors = new LowLatencyTokenTensors(group, spec, counts);
    for (let turn = 0; turn < numAlternations; turn++) {
      const { maxTokensPerRank } = spec.ht;
      const numTokens = unequalTokens(spec.ranks, maxTokensPerRank, turn);
      const inputs = inputsOf(spec, 'distinct', turn, numTokens);
      await expectExchange(built, group, bases, inputs, { keepsBuffers: true });
      const { written, ...filled } = tensors.fill(turn);
      const received = tensors.dispatch();
      const rows = receivedFlaws(spec, `turn ${turn}`, received, filled.want);
      const sums = sumsFlaws(spec, `turn ${turn}`, tensors.combine(received), filled);
      expect((await Promise.all([rows, sums])).flat()).toEqual([]);
      await written;
    }
  }, 300_000);

  describe('back to back', () => {
    const numRoutings = 12;
    const numPairs = scaled(10_000, 24);
    const comparedEvery = scaled(97, 5);
    let built: Built;
    let group: Group;
    let calls: RawLowLatency;
    let routings: {
      readonly tokens: readonly UploadedTokens[];
      readonly rows: readonly LowLatencyOutput[];
      readonly sums: readonly Uint16Array[];
    }[];
    beforeAll(async () => {
      built = await buildSpec(lowLatencyGpuSpec(numRanks));
      const { spec } = built;
      group = await built.open({ seed: 6 });
      calls = new RawLowLatency(group, spec);
      routings = [];
      for (let seed = 0; seed < numRoutings; seed++) {
        const numTokens = unequalTokens(spec.ranks, 32, seed);
        const pattern = patterns[seed % patterns.length]!;
        const inputs = drawTokens(spec, { seed, numTokens, pattern });
        const rows = expectedRows(spec, inputs);
        const outputs = rows.map(({ x }) => x as Uint16Array);
        const sums = expectedSums(spec, inputs, rows, outputs);
        routings.push({ tokens: await calls.upload(inputs), rows, sums });
      }
    }, 300_000);
    afterAll(() => group?.dispose());

    const failures: unknown[] = [];
    const told = (error: unknown) => void failures.push(error);

    /** Reads, in stream order, what pair `sequence` gave on one rank. */
    async function check(r: number, sequence: number, routing: (typeof routings)[number]) {
      const { hidden } = built.spec;
      const { x, srcIdx, numTokensPerExpert } = routing.rows[r]!;
      const sums = routing.sums[r]!;
      const [gotX, gotSrcIdx, gotSums] = await Promise.all([
        calls.read(r, 'llRecvX', sequence),
        calls.read(r, 'llRecvSrcIdx', sequence),
        calls.readSums(r, sums.length / hidden),
      ]);
      const at = (field: string) => `pair ${sequence} rank ${r} ${field}`;
      const numRows = rowsPerExpert(built.spec);
      const differences = Array.from(numTokensPerExpert).flatMap((count, expert) => {
        const part = <T extends Uint16Array | Int32Array>(rows: T, width: number) =>
          rows.subarray(expert * numRows * width, (expert * numRows + count) * width);
        const of = (field: string) => at(`expert ${expert} ${field}`);
        const got = part(new Uint16Array(gotX), hidden);
        return [
          difference(of('x'), hidden, got, part(x as Uint16Array, hidden)),
          difference(of('srcIdx'), 1, part(new Int32Array(gotSrcIdx), 1), part(srcIdx, 1)),
        ];
      });
      differences.push(difference(at('sums'), hidden, new Uint16Array(gotSums), sums));
      return differences.filter((text) => text !== undefined);
    }

    test(`${numPairs} pairs, changing routing, random delays, poisoned results`, async () => {
      const random = randomFrom(7, numRanks, 0);
      const options = () => ({ grid: 1 + random(16), halves: random(3) === 0 });
      const checks: Promise<string[]>[] = [];
      const start = performance.now();
      // A peer may write rows of a call once this rank has sent those of the call inFlight before it.
      const { inFlight } = llOf(built.spec);
      for (let r = 0; r < numRanks; r++) {
        for (let ahead = 0; ahead < inFlight; ahead++) calls.poisonRows(r, ahead, 1).catch(told);
      }
      for (let sequence = 0; sequence < numPairs; sequence++) {
        const routing = routings[random(numRoutings)]!;
        const isCompared = sequence % comparedEvery === 0 || sequence >= numPairs - 4;
        for (let r = 0; r < numRanks; r++) {
          const tokens = routing.tokens[r]!;
          if (random(4) === 0) delay(group, r, random(random(100) === 0 ? 2_000_000 : 30_000));
          if (isOnGpu || isCompared) {
            calls.poisonRows(r, sequence + inFlight, 0x5a + (sequence % 7)).catch(told);
            calls.poisonSums(r, 0xa5).catch(told);
          }
          calls.dispatch(r, tokens, options());
          calls.combine(r, tokens, { ...options(), sequence }).catch(told);
          if (isCompared) checks.push(check(r, sequence, routing));
        }
        // Lets finished reads be compared; nothing is waited for.
        if (sequence % 64 === 63) await new Promise((resolve) => setImmediate(resolve));
      }
      const enqueuedMs = performance.now() - start;
      const differences = (await Promise.all(checks)).flat();
      await Promise.all(group.ranks.map(({ index }) => calls.raw.synchronize(index)));
      note('enqueued, ms', Math.round(enqueuedMs));
      note('done, ms', Math.round(performance.now() - start));
      note('compared results', checks.length);
      expect(failures.map(String)).toEqual([]);
      expect(differences.slice(0, 20)).toEqual([]);
      const counts = calls.raw.counters();
      expect(counts.map(({ llCombine }) => llCombine)).toEqual(Array(numRanks).fill(numPairs));
    }, 600_000);
  });
});

/** Keeps a rank busy for so long. */
function delay(group: Group, rank: number, ns: number): void {
  stateOf(group).callSync((raw) => raw.delay(rank, ns));
}
