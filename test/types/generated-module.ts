/** What sets a module apart from one of plain bf16 rows. */
export interface ModuleFeatures {
  readonly dtype?: 'bf16' | 'fp8_e4m3';
  readonly extraBytes?: number;
  readonly topkIdx?: 'i64' | 'i32';
  readonly withoutTopk?: boolean;
  readonly cached?: boolean;
  readonly worstTokens?: boolean;
  readonly expertMajor?: boolean;
  readonly placement?: 'compact' | 'slotted';
  /** False without high-throughput calls. */
  readonly ht?: boolean;
  /** Undefined without low-latency calls. */
  readonly ll?: LowLatencyFeatures;
}

/** What sets low-latency calls apart from those of plain bf16 rows. */
export interface LowLatencyFeatures {
  readonly dtype?: 'bf16' | 'fp8_e4m3';
  readonly scaleDtype?: 'f32' | 'ue8m0';
  readonly stats?: boolean;
}

/** What a generated `index.ts` looks like, for a spec of 8 ranks and top-8. */
export function generatedModule(hidden: number, features: ModuleFeatures = {}): string {
  const { dtype = 'bf16', extraBytes = 0, topkIdx = 'i64', withoutTopk = false } = features;
  const { cached = false, worstTokens = false, placement = 'compact' } = features;
  const { expertMajor = false, ht = true, ll } = features;
  const section = `{
    maxTokensPerRank: 4096,
    liveResults: 2,
    credit: false,
    withoutTopk: ${withoutTopk},
    cached: ${cached},
    worstTokens: ${worstTokens},
    combineWeights: false,
    biases: 0,
    expertMajor: ${expertMajor},
    readyCounters: false,
  }`;
  return `import * as runtime from 'epgen/runtime';

export const spec = {
  name: 'ep8_h${hidden}_${dtype}',
  ranks: 8,
  hidden: ${hidden},
  experts: 256,
  topk: 8,
  dtype: '${dtype}',
  scaleBlock: 128,
  scaleDtype: 'f32',
  scaleLayout: 'row',
  extraBytes: ${extraBytes},
  combineDtype: 'bf16',
  topkIdx: '${topkIdx}',
  ht: ${ht ? section : false},
  ll: ${ll ? lowLatencyText(ll) : false},
  channels: { memory: { count: 16, stages: 'auto', placement: '${placement}' }, ll: 'chip' },
} as const;

const region = { offset: 0, bytes: 0, stride: 0, numBuffers: 1 };

export const sizes = {
  /** 2.20 GiB. */
  windowBytes: 2358648832,
} as const;

export type Group = runtime.Group<typeof spec>;
export type Rank = runtime.Rank<typeof spec>;
export type Tensor<
  D extends runtime.DType = runtime.DType,
  S extends readonly number[] = readonly number[],
> = runtime.Tensor<D, S>;
${ht ? HIGH_THROUGHPUT_TYPES : ''}${ll ? LOW_LATENCY_TYPES : ''}
export function openGroup(options: runtime.OpenGroupOptions = {}): Promise<Group> {
  return runtime.openModule(
    {
      spec,
      specHash: '',
      buildCommand: '',
      sizes: {
        ...sizes,
        arenaBytes: 0,
        regions: { control: region,${ht ? REGIONS : ''} },${ht ? '\n        handleBytes: 0,' : ''}${ll ? lowLatencySizes(ll) : ''}
      },${ht ? HIGH_THROUGHPUT_HANDLE : ''}${ll ? LOW_LATENCY_HANDLE : ''}
      url: import.meta.url,
    },
    options,
  );
}
`;
}

const HIGH_THROUGHPUT_TYPES = [
  'DispatchCall',
  'CombineCall',
  'Received',
  'EnqueuedReceived',
  'Handle',
]
  .map((name) => `export type ${name} = runtime.${name}<typeof spec>;\n`)
  .join('');

const REGIONS = ['X', 'TopkIdx', 'TopkWeights', 'SrcIdx', 'ChannelPrefix']
  .map((name) => ` recv${name}: region,`)
  .join('')
  .concat(' output: region');

const HIGH_THROUGHPUT_HANDLE = `
      handle: {
        headerBytes: 0,
        fields: {
          rankPrefixMatrix: 0,
          channelPrefixMatrix: 0,
          recvChannelPrefixMatrix: 0,
          numRecvTokens: 0,
          numTokensPerExpert: 0,
        },
      },`;

const LOW_LATENCY_TYPES = ['DispatchCall', 'CombineCall', 'Received', 'Combined', 'Handle']
  .map((name) => `export type LowLatency${name} = runtime.LowLatency${name}<typeof spec>;\n`)
  .join('');

const LOW_LATENCY_HANDLE = `
      llHandle: {
        headerBytes: 0,
        fields: { dispatchEpoch: 0, combineEpoch: 4, numTokensPerExpert: 0, layoutRange: 0 },
      },`;

function lowLatencySizes({ dtype }: LowLatencyFeatures): string {
  const scales = dtype === 'fp8_e4m3' ? '\n        numLlScaleWords: 1,' : '';
  return `\n        llHandleBytes: 0,\n        numLlChannels: 128,${scales}`;
}

function lowLatencyText({
  dtype = 'bf16',
  scaleDtype = 'f32',
  stats = false,
}: LowLatencyFeatures): string {
  return `{
    maxTokensPerRank: 128,
    inFlight: 2,
    credit: false,
    dtype: '${dtype}',
    scaleDtype: '${scaleDtype}',
    scaleLayout: 'row',
    roundScales: false,
    stats: ${stats},
    combineDtype: 'bf16',
  }`;
}
