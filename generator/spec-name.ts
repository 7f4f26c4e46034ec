import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.js';
import { DTYPES } from './dtype.js';
import type { Spec } from './spec.js';
import { DEFAULT_HT, DEFAULT_LL } from './spec-schema.js';

/** Names that a C++ namespace can't have, or that already mean something in namespace epgen. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(
  (
    'alignas alignof and asm auto bool break case catch char class concept const consteval constexpr constinit ' +
    'continue decltype default delete do double else enum explicit export extern false final float for friend goto ' +
    'if import inline int long module mutable namespace new noexcept not nullptr operator or override private ' +
    'protected public register requires return short signed sizeof static struct switch template this throw true try ' +
    'typedef typeid typename union unsigned using virtual void volatile while xor ' +
    'all ballot combine dispatch dispatch_layout host ld ll_combine ll_dispatch ll_stage local member peer popc ' +
    'reached shared shfl st std'
  ).split(' '),
);

export function isReservedName(name: string): boolean {
  return RESERVED_NAMES.has(name);
}

/**
 * The name of a spec that gives none: its shape, then `_e _k _m _c _ll` for experts, top-k, tokens, channels and the tokens
 * of low-latency calls, and `_x<hash>` for any other field, each only where it differs from the default; `_noht` in the
 * place of `_m` where there are low-latency calls alone.
 */
export function derivedName(spec: Omit<Spec, 'name'>, defaults: Omit<Spec, 'name'>): string {
  const { ranks, hidden, experts, topk, dtype, ht, ll, channels } = spec;
  const parts = [`ep${ranks}_h${hidden}_${DTYPES[dtype].shortName}`];
  if (experts !== defaults.experts) parts.push(`e${experts}`);
  if (topk !== Math.min(8, experts)) parts.push(`k${topk}`);
  if (ht && ht.maxTokensPerRank !== DEFAULT_HT.maxTokensPerRank)
    parts.push(`m${ht.maxTokensPerRank}`);
  if (!ht) parts.push('noht');
  if (channels.memory.count !== defaults.channels.memory.count)
    parts.push(`c${channels.memory.count}`);
  if (ll) parts.push(`ll${ll.maxTokensPerRank}`);
  const rest = canonicalJson(unnamedFields(spec));
  const usual = { ...defaults, dtype, ht: ht && DEFAULT_HT, ll: ll && DEFAULT_LL };
  if (rest !== canonicalJson(unnamedFields(usual))) {
    parts.push(`x${createHash('sha256').update(rest).digest('hex').slice(0, 6)}`);
  }
  return parts.join('_');
}

/** The fields that no part of the name spells out, less what a build accepts, which changes no module. */
function unnamedFields(spec: Omit<Spec, 'name'>): object {
  const { ranks, hidden, experts, topk, dtype, ht, ll, channels, maxSpillBytes, ...rest } = spec;
  const { count, ...memory } = channels.memory;
  const named = { maxTokensPerRank: 0 };
  return {
    ...rest,
    ht: ht && { ...ht, ...named },
    ll: ll && { ...ll, ...named },
    channels: { ...channels, memory },
  };
}
