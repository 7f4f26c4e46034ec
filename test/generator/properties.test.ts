import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generate } from '../../generator/generate.js';
import { combinePlan, dispatchPlan } from '../../generator/high-throughput-plan.js';
import { layoutFromPlan } from '../../generator/layout.js';
import { planFromSpec } from '../../generator/plan.js';
import { SHARED_BYTES_LIMIT } from '../../generator/shared-memory.js';
import { parseSpec, type Spec } from '../../generator/spec.js';

// Texts of random specs are of no use to later runs.
let cache = '';
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'epgen-properties-'));
  vi.stubEnv('EPGEN_CACHE_DIR', cache);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

/** Row sizes that any issue may turn on: 16 bytes to 16384 × f32, in whole vectors. */
const rowBytes = fc.oneof(
  fc.integer({ min: 1, max: 4096 }).map((vectors) => vectors * 16),
  fc.constantFrom(16, 32, 4080, 4096, 4112, 7168, 7184, 14336, 32768, 65520, 65536),
);

const shapes = fc.record({
  numRanks: fc.integer({ min: 1, max: 8 }),
  numExperts: fc.integer({ min: 1, max: 2048 }),
  numChannels: fc.integer({ min: 1, max: 64 }),
  rowBytes,
});

/** Specs over everything that may vary. */
const specs: fc.Arbitrary<Spec> = fc
  .record({
    ranks: fc.integer({ min: 1, max: 8 }),
    hidden: fc.integer({ min: 1, max: 2048 }).map((vectors) => vectors * 8),
    localExperts: fc.integer({ min: 1, max: 256 }),
    topk: fc.integer({ min: 1, max: 32 }),
    maxTokensPerRank: fc.integer({ min: 1, max: 65536 }),
    liveResults: fc.integer({ min: 1, max: 4 }),
    count: fc.integer({ min: 1, max: 64 }),
    kinds: fc.constantFrom('high-throughput', 'low-latency', 'both'),
  })
  .map(({ ranks, hidden, localExperts, topk, maxTokensPerRank, liveResults, count, kinds }) => {
    const experts = ranks * localExperts;
    const ht = { ht: { maxTokensPerRank, liveResults }, channels: { memory: { count } } };
    const calls = {
      'high-throughput': ht,
      'low-latency': { ht: false, ll: {} },
      both: { ...ht, ll: {} },
    }[kinds];
    return parseSpec(
      { ranks, hidden, experts, topk: Math.min(topk, experts), ...calls },
      'property',
    );
  });

/** A combine of such rows that has all there is to have, at top-32. */
const combined = ({
  numRanks,
  rowBytes,
}: {
  readonly numRanks: number;
  readonly rowBytes: number;
}) => ({
  numRanks,
  numTopk: 32,
  combineElementBytes: 2,
  combineRowBytes: rowBytes,
  features: { hasCombineWeights: true },
});

describe('shared memory', () => {
  const auto = { stages: 'auto', pieceBytes: 'auto', inFlightBytes: 'auto' } as const;

  it('fits for every legal shape', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const dispatch = dispatchPlan({ ...shape, memory: auto });
        const combine = combinePlan({ ...combined(shape), memory: auto });
        expect(dispatch.sharedBytes).toBeLessThanOrEqual(SHARED_BYTES_LIMIT);
        expect(combine.sharedBytes).toBeLessThanOrEqual(SHARED_BYTES_LIMIT);
        expect(dispatch.numStages).toBeGreaterThanOrEqual(4);
        expect(combine.numStages).toBeGreaterThanOrEqual(Math.max(2, shape.numRanks));
        expect(Math.max(dispatch.numThreads, combine.numThreads)).toBeLessThanOrEqual(1024);
      }),
      { numRuns: 2000 },
    );
  });

  it('fits for the largest of each', () => {
    const worst = { numRanks: 8, numExperts: 2048, numChannels: 64, memory: auto };
    for (let vectors = 1; vectors <= 4096; vectors += 1) {
      const row = vectors * 16;
      const dispatch = dispatchPlan({ ...worst, rowBytes: row });
      const combine = combinePlan({ ...worst, ...combined({ numRanks: 8, rowBytes: row }) });
      expect(Math.max(dispatch.sharedBytes, combine.sharedBytes)).toBeLessThanOrEqual(
        SHARED_BYTES_LIMIT,
      );
    }
  });
});

describe('pieces', () => {
  it('cover a row exactly, in whole vectors, each with a thread for every vector', () => {
    const pieceBytes = fc.oneof(
      fc.constant('auto' as const),
      fc.integer({ min: 1, max: 512 }).map((vectors) => vectors * 16),
    );
    fc.assert(
      fc.property(shapes, pieceBytes, (shape, asked) => {
        const memory = { stages: 8, pieceBytes: asked, inFlightBytes: 'auto' } as const;
        const plan = combinePlan({ ...combined(shape), memory });
        const covered = (plan.piecesPerRow - 1) * plan.pieceBytes + plan.lastPieceBytes;
        expect(covered).toBe(shape.rowBytes);
        expect(plan.lastPieceBytes).toBeGreaterThan(0);
        expect(plan.lastPieceBytes).toBeLessThanOrEqual(plan.pieceBytes);
        expect([plan.pieceBytes % 16, plan.lastPieceBytes % 16]).toEqual([0, 0]);
        const threads = plan.numReduceWarps * 32 * plan.vectorsPerThread;
        expect(threads).toBeGreaterThanOrEqual(plan.vectorsPerPiece);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a layout', () => {
  it('has aligned regions that do not overlap and lie in the window', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const plan = planFromSpec(spec);
        const { regions, windowBytes } = layoutFromPlan(plan);
        let end = 0;
        for (const { offset, bytes, stride, numBuffers } of regions) {
          expect(offset).toBeGreaterThanOrEqual(end);
          expect([offset % 128, stride % 128]).toEqual([0, 0]);
          expect(stride).toBeGreaterThanOrEqual(bytes);
          end = offset + stride * numBuffers;
        }
        expect(windowBytes).toBeGreaterThanOrEqual(end);
        expect(windowBytes % 4096).toBe(0);
        expect(windowBytes / 128).toBeLessThan(2 ** 32);
        expect(plan.arenaBytes % 256).toBe(0);
      }),
    );
  });

  it('has fields that are aligned and do not overlap', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        for (const { fields, bytes, align } of layoutFromPlan(planFromSpec(spec)).structs) {
          let end = 0;
          for (const field of fields) {
            expect(field.offset).toBeGreaterThanOrEqual(end);
            expect(field.offset % field.align).toBe(0);
            end = field.offset + field.bytes;
          }
          expect(bytes).toBeGreaterThanOrEqual(end);
          expect(bytes % align).toBe(0);
        }
      }),
    );
  });
});

describe('generated text', () => {
  it('is complete, tidy and the same each time', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const files = generate(spec);
        for (const [name, text] of files) expectTidy(name, text);
        expect([...generate(spec)]).toEqual([...files]);
      }),
      { numRuns: 25 },
    );
  });
});

function expectTidy(name: string, text: string): void {
  expect(text, name).toMatch(/[^\n]\n$/);
  expect(text, name).not.toMatch(/[ \t]$/m);
  expect(text, name).not.toMatch(/\t|\r|\n\n\n|NaN|\[object|Infinity|\{\{/);
  if (!name.endsWith('.ts')) expect(text, name).not.toContain('undefined');
  // A banner and a command that people paste stay on one line.
  const lines = text.split('\n').filter((line) => !/^\/\/ @generated|^ +buildCommand: /.test(line));
  if (!name.endsWith('.json')) expect(lines.filter((line) => line.length > 120)).toEqual([]);
}
