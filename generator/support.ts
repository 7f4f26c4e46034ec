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
  {
    field: 'ranks',
    isAsked: ({ ranks, ranksPerNode }) => ranks > ranksPerNode,
    built: 'at most ranksPerNode, on one node',
  },
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
      hint: 'This version builds high-throughput and low-latency exchange between up to 8 ranks of one node.',
    },
  );
}
