import { createHash } from 'node:crypto';
import type * as z from 'zod';
import { canonicalJson } from './canonical-json.js';
import { EpgenSpecError, type SpecIssue } from './errors.js';
import { featuresOf } from './features.js';
import { nearestValue } from './nearest-value.js';
import { ruleIssues } from './rule-issues.js';
import { issuesFromZod } from './schema-issues.js';
import { showValue } from './show-value.js';
import { fieldOf, withField } from './spec-field.js';
import { derivedName, isReservedName } from './spec-name.js';
import { specSchema } from './spec-schema.js';
import { requireSupported } from './support.js';

/** What a spec file gives: `ranks` and `hidden`, and any field that differs from its default. */
export type SpecInput = z.input<typeof specSchema>;

type ParsedSpec = z.output<typeof specSchema>;

/** A valid spec with every field present. */
export interface Spec extends DeepReadonly<Omit<ParsedSpec, 'name' | 'experts' | 'topk'>> {
  readonly name: string;
  readonly experts: number;
  readonly topk: number;
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** Gives a spec file its types: `export default defineSpec({ ranks: 8, hidden: 7168 })`. */
export function defineSpec(input: SpecInput): SpecInput {
  return input;
}

/**
 * Checks a spec and fills in its defaults. `source` names it in messages.
 * @throws EpgenSpecError that lists every broken rule; EpgenUnsupportedError for a valid spec that this version can't build.
 */
export function parseSpec(input: unknown, source: string): Spec {
  const { spec, issues } = readSpec(input);
  if (issues.length > 0) throw specError(source, issues);
  requireSupported(spec, source);
  return spec;
}

/** The fields one by one, then the rules between them; a malformed field stands at its default for the rest. */
function readSpec(input: unknown): { readonly spec: Spec; readonly issues: readonly SpecIssue[] } {
  const parsed = specSchema.safeParse(input);
  if (parsed.success) {
    const spec = withDerivedFields(parsed.data);
    const issues = [
      ...nameIssues(parsed.data.name),
      ...sectionIssues(spec),
      ...idleFieldIssues(spec),
      ...ruleIssues(spec),
    ];
    return { spec, issues };
  }
  const issues = issuesFromZod(parsed.error, input);
  const malformed = issues.map((issue) => issue.path);
  const spec = withDerivedFields(
    specSchema.parse({ ranks: 8, hidden: 7168, ...without(input, malformed) }),
  );
  const broken = ruleIssues(spec, malformed);
  return { spec, issues: [...issues.map((issue) => withValidFix(issue, spec)), ...broken] };
}

/** A number that the schema would take may still break a rule. */
function withValidFix(issue: SpecIssue, spec: Spec): SpecIssue {
  const number = Number(issue.fix);
  // Rules are about sizes; a field that may be 0 is in none.
  if (!Number.isSafeInteger(number) || number === 0) return issue;
  const fix = nearestValue({ spec: withField(spec, issue.path, number), field: issue.path });
  return fix === undefined ? issue : { ...issue, fix: `${fix}` };
}

function withDerivedFields(parsed: ParsedSpec): Spec {
  const { ranks, hidden } = parsed;
  const { name, ...spec } = completed(parsed);
  const { name: _, ...defaults } = completed(specSchema.parse({ ranks, hidden }));
  return { name: name ?? derivedName(spec, defaults), ...spec };
}

/** Fills in what depends on other fields; the order of fields is that of the schema. */
function completed({ name, ranks, hidden, experts: asked, topk, ...rest }: ParsedSpec) {
  const experts = asked ?? 32 * ranks;
  return { name, ranks, hidden, experts, topk: topk ?? Math.min(8, experts), ...rest };
}

function nameIssues(name: string | undefined): SpecIssue[] {
  if (name === undefined || !isReservedName(name)) return [];
  const message = `Expected name to be free for a C++ namespace but received '${name}', which C++ or epgen uses`;
  return [{ path: 'name', message, received: name, fix: `'${name}_exchange'` }];
}

/** A spec without any calls. */
function sectionIssues({ ht, ll }: Spec): SpecIssue[] {
  if (ht || ll) return [];
  const message =
    'Expected ll to be an object where ht is false but received false: a spec has high-throughput calls, low-latency calls or both';
  return [{ path: 'll', message, received: false, fix: '{}' }];
}

const SCALES = ['scaleBlock', 'scaleDtype', 'scaleLayout'];

/** What only high-throughput calls ask for beside what is in their own section. */
const HIGH_THROUGHPUT_FIELDS = [
  'dtype',
  ...SCALES,
  'extraBytes',
  'combineDtype',
  'channels.memory.count',
  'channels.memory.stages',
  'channels.memory.pieceBytes',
  'channels.memory.inFlightBytes',
  'channels.memory.placement',
];

/** Fields that a spec sets although what they are about is not there. */
function idleFieldIssues(spec: Spec): SpecIssue[] {
  const { ranks, hidden } = spec;
  const defaults = specSchema.parse({ ranks, hidden, ...(spec.ll ? { ll: {} } : {}) });
  const features = featuresOf(spec);
  const idle = (isIdle: boolean, paths: readonly string[], why: string) =>
    isIdle ? paths.flatMap((path) => idleFieldIssue({ spec, defaults, path, why })) : [];
  return [
    ...idle(!spec.ht, HIGH_THROUGHPUT_FIELDS, 'the spec has no ht'),
    ...idle(
      spec.ht !== false && !features.hasScales,
      SCALES,
      `rows of ${spec.dtype} have no scales`,
    ),
    ...idle(
      features.hasLl && !features.hasLlFp8,
      ['ll.scaleDtype', 'll.scaleLayout', 'll.roundScales'],
      'low-latency rows of bf16 have no scales',
    ),
    ...idle(!features.hasLl, ['channels.ll'], 'the spec has no ll'),
  ];
}

function idleFieldIssue(input: {
  readonly spec: Spec;
  readonly defaults: object;
  readonly path: string;
  readonly why: string;
}): SpecIssue[] {
  const { path, why } = input;
  const received = fieldOf(input.spec, path);
  const usual = fieldOf(input.defaults, path);
  if (received === usual) return [];
  const fix = showValue(usual);
  const message = `Expected ${path} to be ${fix}, its default, but received ${showValue(received)}: ${why}`;
  return [{ path, message, received, fix }];
}

/** The input less the fields at `paths`, which may lie in sections. */
function without(input: unknown, paths: readonly string[]): Record<string, unknown> {
  if (typeof input !== 'object' || input === null || paths.includes('')) return {};
  const copy = structuredClone(
    Object.fromEntries(Object.entries(input).filter(([key]) => !paths.includes(key))),
  );
  for (const path of paths) {
    const keys = path.split('.');
    const last = keys.pop() as string;
    let owner: unknown = copy;
    for (const key of keys) owner = (owner as Record<string, unknown> | undefined)?.[key];
    if (typeof owner === 'object' && owner !== null)
      delete (owner as Record<string, unknown>)[last];
  }
  return copy;
}

function specError(source: string, issues: readonly SpecIssue[]): EpgenSpecError {
  const count = issues.length === 1 ? 'one rule' : `${issues.length} rules`;
  const lines = issues.map(({ message, fix }) => `  ${message}${fix ? `\n    fix: ${fix}` : ''}`);
  return new EpgenSpecError(`${source} breaks ${count}:\n${lines.join('\n')}`, { issues });
}

/** A spec as text that is equal for equal specs: what specHash hashes. */
export function canonicalSpecJson(spec: Spec): string {
  return canonicalJson(spec);
}

/** SHA-256 of a spec in 64 hexadecimal digits. Ranks built from different specs don't exchange tokens. */
export function specHash(spec: Spec): string {
  return createHash('sha256').update(canonicalSpecJson(spec)).digest('hex');
}
