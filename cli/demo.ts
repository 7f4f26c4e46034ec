// One exchange of the 8-rank, hidden-7168 spec on the CPU backend: route tokens, dispatch them, let a stand-in expert
// work on them, combine, and check every row that moved. `npm run demo` builds the spec first.
import { performance } from 'node:perf_hooks';
import { openGroup, spec } from '#epgen/ep8_h7168_bf16';
import { bf16FromFloat, floatFromBf16 } from '../native/reference/index.js';

const { ranks, hidden, experts, topk } = spec;
const numLocalExperts = experts / ranks;
const numTokens = 32;

/** A token's experts, gate weights and row on its own rank. */
interface Routed {
  readonly experts: readonly number[];
  readonly weights: readonly number[];
}

const random = mulberry32(7);
const routing = Array.from({ length: ranks }, () => Array.from({ length: numTokens }, routeToken));
const rows = Array.from({ length: ranks }, () =>
  Uint16Array.from({ length: numTokens * hidden }, () => bf16FromFloat(random() * 2 - 1)),
);

const group = await openGroup();
console.log(`opened ${group.numRanks} ranks on the ${group.backend} backend`);

const startedAt = performance.now();
const received = await group.dispatch(
  group.ranks.map((rank, r) => ({
    x: rank.tensor('bf16', [numTokens, hidden], rows[r]!),
    topkIdx: rank.tensor(
      'i64',
      [numTokens, topk],
      routing[r]!.flatMap((token) => token.experts),
    ),
    topkWeights: rank.tensor(
      'f32',
      [numTokens, topk],
      Float32Array.from(routing[r]!.flatMap((token) => token.weights)),
    ),
  })),
);

let numRows = 0;
let numGoodRows = 0;
const combineCalls = await Promise.all(
  received.map(async (result, r) => {
    const [x, sources, weights] = await Promise.all([
      result.x.toArray(),
      result.srcIdx.toArray(),
      result.topkWeights.toFloat32(),
    ]);
    const expected = expectedSources(r);
    sources.forEach((tokenIdx, row) => {
      const source = expected[row]!;
      const sent = rows[source.rank]!.subarray(
        source.tokenIdx * hidden,
        (source.tokenIdx + 1) * hidden,
      );
      count(
        tokenIdx === source.tokenIdx &&
          sameBits(x.subarray(row * hidden, (row + 1) * hidden), sent),
      );
    });
    const output = group.ranks[r]!.combineInput(result.handle);
    await output.copyFrom(standInExpert(x, weights));
    return { x: output, handle: result.handle };
  }),
);

const combined = await group.combine(combineCalls);
for (const [r, result] of combined.entries()) {
  const x = await result.x.toArray();
  for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
    count(
      sameBits(x.subarray(tokenIdx * hidden, (tokenIdx + 1) * hidden), expectedOutput(r, tokenIdx)),
    );
  }
}
const seconds = (performance.now() - startedAt) / 1000;

printMatrix();
await printOneToken(0, 17);
await group.dispose();

const peakMegabytes = process.resourceUsage().maxRSS / 1024;
console.log(
  `\ndispatch + experts + combine in ${seconds.toFixed(1)} s, peak memory ${peakMegabytes.toFixed(0)} MB`,
);
console.log(`every row checked: ${numGoodRows} of ${numRows}`);
if (numGoodRows !== numRows) process.exitCode = 1;

function routeToken(): Routed {
  const chosen = new Set<number>();
  while (chosen.size < topk) chosen.add(Math.floor(random() * experts));
  const scores = Array.from(chosen, () => Math.exp(2 * random()));
  const total = scores.reduce((sum, score) => sum + score, 0);
  return { experts: [...chosen], weights: scores.map((score) => Math.fround(score / total)) };
}

/** Gate weights of the token's experts on one rank, summed in k order. */
function weightOnRank(token: Routed, rank: number): number {
  return token.experts.reduce(
    (sum, expert, k) => (rankOf(expert) === rank ? Math.fround(sum + token.weights[k]!) : sum),
    0,
  );
}

function rankOf(expert: number): number {
  return Math.floor(expert / numLocalExperts);
}

/** The stand-in for a rank's experts: each row times the sum of its gate weights on this rank. */
function standInExpert(x: Uint16Array, weights: Float32Array): Uint16Array {
  const y = new Uint16Array(x.length);
  for (let row = 0; row < x.length / hidden; row++) {
    const scale = weights
      .subarray(row * topk, (row + 1) * topk)
      .reduce((sum, w) => Math.fround(sum + w), 0);
    for (let i = row * hidden; i < (row + 1) * hidden; i++)
      y[i] = bf16FromFloat(floatFromBf16(x[i]!) * scale);
  }
  return y;
}

/** Rows come by source rank, then source token. */
function expectedSources(rank: number): { rank: number; tokenIdx: number }[] {
  return routing.flatMap((tokens, source) =>
    tokens.flatMap((token, tokenIdx) =>
      token.experts.some((expert) => rankOf(expert) === rank) ? [{ rank: source, tokenIdx }] : [],
    ),
  );
}

/** What combine must give back, from the definition: fp32 sum in ascending rank order, rounded once. */
function expectedOutput(rank: number, tokenIdx: number): Uint16Array {
  const token = routing[rank]![tokenIdx]!;
  const x = rows[rank]!.subarray(tokenIdx * hidden, (tokenIdx + 1) * hidden);
  const holders = [...new Set(token.experts.map(rankOf))].sort((a, b) => a - b);
  return x.map((bits) => {
    const value = floatFromBf16(bits);
    const parts = holders.map((holder) =>
      floatFromBf16(bf16FromFloat(value * weightOnRank(token, holder))),
    );
    return bf16FromFloat(parts.reduce((sum, part) => Math.fround(sum + part), 0));
  });
}

function sameBits(a: Uint16Array, b: Uint16Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  );
}

function count(isGood: boolean): void {
  numRows += 1;
  if (isGood) numGoodRows += 1;
}

function printMatrix(): void {
  console.log('\ntokens from rank (down) to rank (across)\n');
  const line = (label: string, cells: readonly (string | number)[]): string =>
    label.padStart(8) + cells.map((cell) => String(cell).padStart(7)).join('');
  console.log(line('', [...received.keys()]));
  const sent = routing.map((tokens) =>
    received.map(
      (_, to) => tokens.filter((token) => token.experts.some((e) => rankOf(e) === to)).length,
    ),
  );
  sent.forEach((cells, from) => {
    console.log(line(String(from), cells));
  });
  console.log(
    line(
      'received',
      received.map((result) => result.x.shape[0]),
    ),
  );
}

async function printOneToken(rank: number, tokenIdx: number): Promise<void> {
  const slots = await received[rank]!.handle.slot();
  const token = routing[rank]![tokenIdx]!;
  console.log(`\ntoken ${tokenIdx} of rank ${rank}\n`);
  for (let peer = 0; peer < ranks; peer++) {
    const slot = slots[tokenIdx * ranks + peer]!;
    if (slot < 0) continue;
    const here = token.experts.filter((expert) => rankOf(expert) === peer);
    console.log(
      `  → rank ${peer} row ${String(slot).padEnd(4)} experts ${here.join(', ').padEnd(16)}` +
        ` gate ${weightOnRank(token, peer).toFixed(3)}`,
    );
  }
  const first = expectedOutput(rank, tokenIdx)[0]!;
  console.log(
    `  ← combined: x[0] ${floatFromBf16(rows[rank]![tokenIdx * hidden]!)} → ${floatFromBf16(first)}`,
  );
}

/** A small seeded generator, so that every run shows the same exchange. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
