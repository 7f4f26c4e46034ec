/** The section `ht` of a spec that has one. */
export interface HighThroughputSection {
  readonly maxTokensPerRank: number;
  readonly liveResults: number;
  readonly credit: boolean;
  readonly withoutTopk: boolean;
  readonly cached: boolean;
  readonly worstTokens: boolean;
  readonly combineWeights: boolean;
  readonly biases: number;
  readonly expertMajor: boolean;
  readonly readyCounters: boolean;
}

/** What the runtime needs of a normalised spec; the generated module's literal type extends it. */
export interface Spec {
  readonly name: string;
  readonly ranks: number;
  readonly hidden: number;
  readonly experts: number;
  readonly topk: number;
  readonly dtype: 'bf16' | 'f16' | 'fp8_e4m3' | 'u8';
  readonly scaleBlock: number;
  readonly scaleDtype: 'f32' | 'ue8m0';
  readonly scaleLayout: 'row' | 'column';
  readonly extraBytes: number;
  readonly combineDtype: 'bf16' | 'f16' | 'f32';
  readonly topkIdx: 'i64' | 'i32';
  readonly ht: false | HighThroughputSection;
  readonly ll:
    | false
    | {
        readonly maxTokensPerRank: number;
        readonly inFlight: number;
        readonly credit: boolean;
        readonly dtype: 'bf16' | 'fp8_e4m3';
        readonly scaleDtype: 'f32' | 'ue8m0';
        readonly scaleLayout: 'row' | 'column';
        readonly roundScales: boolean;
        readonly stats: boolean;
        readonly combineDtype: 'bf16' | 'fp8_e4m3';
      };
  readonly channels: {
    readonly memory: { readonly count: number; readonly placement: 'compact' | 'slotted' };
    readonly ll: 'chip' | number;
  };
}

/** The section `ht` of a spec, where it has one. */
export type HtOf<S extends Spec> = Exclude<S['ht'], false>;

/** A region of the window: `numBuffers` times `bytes` bytes, `stride` bytes apart, from `offset` on. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
  readonly stride: number;
  readonly numBuffers: number;
}

/** Those that all specs with high-throughput calls have. */
type HighThroughputRegions = Readonly<
  Record<
    'recvX' | 'recvTopkIdx' | 'recvTopkWeights' | 'recvSrcIdx' | 'recvChannelPrefix' | 'output',
    Region
  >
>;

/** Memory that every rank reserves, in bytes, and counts that calls are checked against. */
export interface Sizes {
  readonly windowBytes: number;
  readonly arenaBytes: number;
  /** A handle of as many tokens as a rank may send; there where the spec has high-throughput calls. */
  readonly handleBytes?: number;
  /** A low-latency handle of as many tokens as a rank may send; there where the spec has such calls. */
  readonly llHandleBytes?: number;
  /** 4-byte words of scales beside a token; there where tokens have scales. */
  readonly numScaleWords?: number;
  /** 4-byte words from one column of received scales to the next; there where they lie in columns. */
  readonly scaleColumnWords?: number;
  /** Most channels of a low-latency call; there where the spec has such calls. */
  readonly numLlChannels?: number;
  /** 4-byte words of scales of a row that low-latency dispatch delivers; there where its rows have scales. */
  readonly numLlScaleWords?: number;
  /** 4-byte words from one column of these scales to the next; there where they lie in columns. */
  readonly llScaleColumnWords?: number;
  readonly regions: Partial<HighThroughputRegions> & {
    readonly control: Region;
    readonly recvXScales?: Region;
    readonly recvExtras?: Region;
    readonly outputWeights?: Region;
    readonly llControl?: Region;
    readonly llRecvX?: Region;
    readonly llRecvXScales?: Region;
    readonly llRecvSrcIdx?: Region;
    readonly llOutput?: Region;
  };
}

/** A spec with high-throughput calls. */
export type HighThroughputSpec = Spec & { readonly ht: HighThroughputSection };

/** Sizes of a spec with high-throughput calls. */
export type HighThroughputSizes = Sizes & {
  readonly handleBytes: number;
  readonly regions: HighThroughputRegions;
};

/** Where a handle's fields lie, in bytes from its start; `slot`, i32 [tokens, ranks], follows the header. */
export interface HandleLayout {
  readonly headerBytes: number;
  readonly fields: {
    /** i32 [ranks, ranks] */
    readonly rankPrefixMatrix: number;
    /** i32 [ranks, channels] */
    readonly channelPrefixMatrix: number;
    /** i32 [ranks, channels] */
    readonly recvChannelPrefixMatrix: number;
    /** i32 [1] */
    readonly numRecvTokens: number;
    /** i32 [experts / ranks] */
    readonly numTokensPerExpert: number;
    /** i32 [ranks], where rows are slotted. */
    readonly numTokensPerRank?: number;
  };
}

/** Where a low-latency handle's fields lie, in bytes from its start; `slot`, i32 [tokens, topk], follows the header. */
export interface LowLatencyHandleLayout {
  readonly headerBytes: number;
  readonly fields: {
    /** u32 [1] */
    readonly dispatchEpoch: number;
    /** u32 [1] */
    readonly combineEpoch: number;
    /** i32 [experts / ranks] */
    readonly numTokensPerExpert: number;
    /** i64 [experts / ranks, ranks] */
    readonly layoutRange: number;
  };
}

/** What a generated module tells the runtime about itself. */
export interface ModuleDescription<S extends Spec = Spec> {
  readonly spec: S;
  readonly specHash: string;
  /** The command that builds this module's addon, for error messages. */
  readonly buildCommand: string;
  readonly sizes: Sizes;
  /** There where the spec has high-throughput calls. */
  readonly handle?: HandleLayout;
  /** There where the spec has low-latency calls. */
  readonly llHandle?: LowLatencyHandleLayout;
  /** The module's own `import.meta.url`: its addon lies beside it. */
  readonly url: string;
}
