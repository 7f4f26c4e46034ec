import type { Derive } from './derivation.js';
import { DTYPES, type Dtype } from './dtype.js';

/** How the numbers that describe an exchange follow from the spec. */
export const SHAPE = {
  numRanks: 'spec.ranks',
  numNodes: 'ceil(spec.ranks / spec.ranksPerNode)',
  numLocalRanks: ({ spec }) => ({
    formula: 'min(spec.ranks, spec.ranksPerNode)',
    boundBy: spec.ranks <= spec.ranksPerNode ? 'spec.ranks' : 'spec.ranksPerNode',
  }),
  hidden: 'spec.hidden',
  numExperts: 'spec.experts',
  numLocalExperts: 'spec.experts / spec.ranks',
  numTopk: 'spec.topk',
  maxTokensPerRank: 'spec.ht.maxTokensPerRank',
  maxRecvTokens: 'numRanks × maxTokensPerRank',
  elementBytes: ({ spec }) => bytesOf(spec.dtype),
  rowBytes: 'hidden × elementBytes',
  combineElementBytes: ({ spec }) => bytesOf(spec.combineDtype),
  combineRowBytes: 'hidden × combineElementBytes',
  scaleGranule: ({ spec, plan }) =>
    plan.features.hasScales
      ? {
          formula:
            spec.scaleDtype === 'ue8m0'
              ? 'spec.scaleBlock × SCALES_PER_PACKED_WORD'
              : 'spec.scaleBlock',
          note: `a word of scales is ${spec.scaleDtype === 'ue8m0' ? 'four ue8m0' : 'one f32'}`,
        }
      : none(`rows of ${spec.dtype} have no scales`),
  numScaleWords: ({ spec, plan }) =>
    plan.features.hasScales
      ? { formula: 'ceil(hidden / scaleGranule)' }
      : none(`rows of ${spec.dtype} have no scales`),
  scaleColumnWords: ({ plan }) =>
    plan.features.hasColumnScales
      ? { formula: 'roundUp(maxRecvTokens, COLUMN_ALIGN)' }
      : none('no scales lie in columns'),
  extraBytes: 'spec.extraBytes',
  numExtraWords: 'ceil(extraBytes / WORD_BYTES)',
  numBiases: 'spec.ht.biases',
  numChannels: 'spec.channels.memory.count',
  liveResults: 'spec.ht.liveResults',
  numRecvBuffers: ({ plan }) => ({
    formula: plan.features.hasCredit ? 'liveResults' : 'liveResults + 1',
    boundBy: 'liveResults',
    note: plan.features.hasCredit
      ? 'spec.ht.credit: a dispatch waits for every rank before it writes rows, which saves a buffer'
      : 'one more takes the rows of the next dispatch, which spec.ht.credit would make wait',
  }),
  numOutputBuffers: () => ({
    formula: 'OUTPUT_BUFFERS',
    note: 'the ready words of one combine show that the one before it has ended',
  }),
  sharedBytesLimit: () => ({
    formula: 'SHARED_BYTES_LIMIT',
    note: 'what a block of an H100 or later may opt in to',
  }),
} as const satisfies Readonly<Record<string, Derive>>;

function bytesOf(dtype: Dtype) {
  const name = `bytes.${dtype}`;
  return { formula: name, terms: { [name]: DTYPES[dtype].bytes } };
}

function none(note: string) {
  return { formula: '0', note };
}
