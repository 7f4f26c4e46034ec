/** A flag of the command line that sets one field of a spec; `--set` reaches the others. */
export interface SpecFlag {
  readonly flag: string;
  /** What help calls its value. */
  readonly value: string;
  /** The field, as in `--set path=value`. */
  readonly path: string;
}

/** In the order of help. */
export const SPEC_FLAGS: readonly SpecFlag[] = [
  { flag: '--name', value: 'name', path: 'name' },
  { flag: '--ranks', value: 'n', path: 'ranks' },
  { flag: '--hidden', value: 'n', path: 'hidden' },
  { flag: '--experts', value: 'n', path: 'experts' },
  { flag: '--topk', value: 'n', path: 'topk' },
  { flag: '--dtype', value: 'type', path: 'dtype' },
  { flag: '--combine-dtype', value: 'type', path: 'combineDtype' },
  { flag: '--topk-idx', value: 'type', path: 'topkIdx' },
  { flag: '--extra-bytes', value: 'n', path: 'extraBytes' },
  { flag: '--max-tokens', value: 'n', path: 'ht.maxTokensPerRank' },
  { flag: '--live-results', value: 'n', path: 'ht.liveResults' },
  { flag: '--ll-max-tokens', value: 'n', path: 'll.maxTokensPerRank' },
  { flag: '--ll-dtype', value: 'type', path: 'll.dtype' },
  { flag: '--channels', value: 'n', path: 'channels.memory.count' },
  { flag: '--placement', value: 'how', path: 'channels.memory.placement' },
];
