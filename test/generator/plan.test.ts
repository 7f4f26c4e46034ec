import { describe, expect, it } from 'vitest';
import { type Pieces, piecesOfRow } from '../../generator/pieces.js';
import { planFromSpec } from '../../generator/plan.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';

const planOf = (input: SpecInput) => planFromSpec(parseSpec(input, 'test'));

describe('piecesOfRow', () => {
  it.each<[rowBytes: number, asked: number | 'auto', want: Pieces]>([
    [16, 'auto', { pieceBytes: 16, piecesPerRow: 1, lastPieceBytes: 16 }],
    [32, 'auto', { pieceBytes: 32, piecesPerRow: 1, lastPieceBytes: 32 }],
    [4096, 'auto', { pieceBytes: 4096, piecesPerRow: 1, lastPieceBytes: 4096 }],
    [8208, 'auto', { pieceBytes: 4112, piecesPerRow: 2, lastPieceBytes: 4096 }],
    [5760, 'auto', { pieceBytes: 5760, piecesPerRow: 1, lastPieceBytes: 5760 }],
    [8192, 'auto', { pieceBytes: 8192, piecesPerRow: 1, lastPieceBytes: 8192 }],
    [18432, 'auto', { pieceBytes: 6144, piecesPerRow: 3, lastPieceBytes: 6144 }],
    [14336, 'auto', { pieceBytes: 7168, piecesPerRow: 2, lastPieceBytes: 7168 }],
    [65536, 'auto', { pieceBytes: 8192, piecesPerRow: 8, lastPieceBytes: 8192 }],
    [14336, 1792, { pieceBytes: 1792, piecesPerRow: 8, lastPieceBytes: 1792 }],
    [14336, 4096, { pieceBytes: 4096, piecesPerRow: 4, lastPieceBytes: 2048 }],
    [128, 4096, { pieceBytes: 128, piecesPerRow: 1, lastPieceBytes: 128 }],
  ])('cuts %i bytes, asked for %s', (rowBytes, asked, want) => {
    expect(piecesOfRow(rowBytes, asked)).toEqual(want);
  });
});

describe('planFromSpec', () => {
  it.each<[name: string, input: SpecInput, want: object]>([
    [
      'the default for 8 ranks',
      { ranks: 8, hidden: 7168 },
      {
        numNodes: 1,
        numLocalRanks: 8,
        peerClasses: ['self', ...Array(7).fill('memory')],
        numLocalExperts: 32,
        maxRecvTokens: 32768,
        rowBytes: 14336,
        numRecvBuffers: 3,
        numOutputBuffers: 2,
        dispatch: { numStages: 8, storeLag: 4, numWarps: 8, numThreads: 256, sharedBytes: 59136 },
        combine: { numStages: 8, numReduceWarps: 7, vectorsPerThread: 2, numThreads: 256 },
        windowBytes: 2358648832,
        arenaBytes: 2120220672,
        handleBytes: 132608,
      },
    ],
    [
      'rows that are not whole warps',
      { ranks: 4, hidden: 2880 },
      {
        rowBytes: 5760,
        dispatch: { pieceBytes: 5760, numStages: 10, storeLag: 5 },
        combine: { vectorsPerPiece: 360, numReduceWarps: 6, vectorsPerThread: 2, numThreads: 224 },
      },
    ],
    [
      'rows of one vector pair',
      { ranks: 1, hidden: 16 },
      {
        peerClasses: ['self'],
        dispatch: { pieceBytes: 32, numStages: 16 },
        combine: { vectorsPerPiece: 2, numReduceWarps: 1, vectorsPerThread: 1, numThreads: 64 },
      },
    ],
    [
      'pieces and stages as asked',
      { ranks: 2, hidden: 8192, channels: { memory: { stages: 6, pieceBytes: 16384 } } },
      {
        dispatch: { pieceBytes: 16384, piecesPerRow: 1, numStages: 6, storeLag: 3 },
        combine: { vectorsPerPiece: 1024, numReduceWarps: 8, vectorsPerThread: 4 },
      },
    ],
    [
      'as many bytes under way as shared memory allows',
      { ranks: 2, hidden: 8192, experts: 2048, channels: { memory: { inFlightBytes: 10 ** 9 } } },
      { dispatch: { numStages: 27 }, combine: { numStages: 28 } },
    ],
    [
      'four live results',
      { ranks: 2, hidden: 64, ht: { liveResults: 4 } },
      { numRecvBuffers: 5, liveResults: 4 },
    ],
    ['an arena as asked', { ranks: 2, hidden: 64, arenaBytes: 2 ** 24 }, { arenaBytes: 2 ** 24 }],
  ])('%s', (_, input, want) => {
    expect(planOf(input)).toMatchObject(want);
  });

  it('refuses a spec that never went through parseSpec', () => {
    const spec = { ...parseSpec({ ranks: 8, hidden: 7168 }, 'test'), experts: 250, topk: 33 };
    expect(() => planFromSpec(spec)).toThrow(
      'ep8_h7168_bf16 breaks rules of the plan:\n' +
        '  numExperts must be a multiple of numRanks: every rank owns the same number of experts\n' +
        "  numTopk must be at most 32: a warp reads a token's choices one per lane",
    );
  });
});
