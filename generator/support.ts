import { EpgenUnsupportedError } from './errors.js';
import { showValue } from './show-value.js';
import type { Spec } from './spec.js';
import { fieldOf } from './spec-field.js';

/** Valid requests that this version does not build. */
const NOT_BUILT: readonly {
  readonly field: string;
  isAsked(spec: Spec): boolean;
  readonly built: string;
}[] = [
  { field: 'dtype', isAsked: ({ dtype }) => dtype !== 'bf16', built: "'bf16'" },
  { field: 'scaleBlock', isAsked: ({ scaleBlock }) => scaleBlock !== 128, built: '128' },
  { field: 'scaleDtype', isAsked: ({ scaleDtype }) => scaleDtype !== 'f32', built: "'f32'" },
  {
    field: 'combineDtype',
    isAsked: ({ combineDtype }) => combineDtype !== 'bf16',
    built: "'bf16'",
  },
  { field: 'topkIdx', isAsked: ({ topkIdx }) => topkIdx !== 'i64', built: "'i64'" },
  {
    field: 'ranks',
    isAsked: ({ ranks, ranksPerNode }) => ranks > ranksPerNode,
    built: 'at most ranksPerNode, on one node',
  },
  { field: 'ht', isAsked: ({ ht }) => ht === false, built: 'an object' },
  { field: 'ht.credit', isAsked: ({ ht }) => ht !== false && ht.credit, built: 'false' },
  { field: 'll', isAsked: ({ ll }) => ll !== false, built: 'false' },
  {
    field: 'channels.memory.placement',
    isAsked: ({ channels }) => channels.memory.placement !== 'compact',
    built: "'compact'",
  },
  { field: 'channels.ll', isAsked: ({ channels }) => channels.ll !== 'chip', built: "'chip'" },
  { field: 'channels.port', isAsked: ({ channels }) => channels.port !== false, built: 'false' },
];

/** @throws EpgenUnsupportedError that names every field that asks for more than this version builds. */
export function requireSupported(spec: Spec, source: string): void {
  const asked = NOT_BUILT.filter((one) => one.isAsked(spec));
  if (asked.length === 0) return;
  const lines = asked.map(
    ({ field, built }) =>
      `  ${field} ${showValue(fieldOf(spec, field))}: this version builds ${built}`,
  );
  throw new EpgenUnsupportedError(
    [`${source} is valid but asks for what this version does not build:`, ...lines].join('\n'),
    {
      hint: 'This version builds high-throughput dispatch and combine of bf16 rows between up to 8 ranks of one node.',
    },
  );
}
