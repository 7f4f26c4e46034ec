import type { ArgsRecord } from './args.js';
import {
  type AssertView,
  assertView,
  COLUMNS,
  type ConstantsView,
  constantsView,
} from './constants-view.js';
import { counted } from './counted.js';
import { cppName } from './cpp-name.js';
import { DTYPES } from './dtype.js';
import type { Features } from './features.js';
import { hasHt } from './high-throughput-plan.js';
import { kernelNames } from './kernels.js';
import type { Layout } from './layout.js';
import type { Plan } from './plan.js';
import type { RecordLayout } from './record.js';
import { reuseLines } from './reuse-lines.js';
import { type Spec, specHash } from './spec.js';
import type { Region } from './window.js';
import { wrapText } from './wrap-text.js';

/** What templates read: names and text, nothing left to compute. */
export interface View extends Features {
  readonly specName: string;
  readonly namespace: string;
  readonly specHash: string;
  /** Such as `8 ranks, 256 experts, top-8, rows of 7168 bf16`. */
  readonly summary: string;
  readonly cppIndexType: string;
  /** Whether there are high-throughput calls. */
  readonly hasHt: boolean;
  /** Whether anything but top-k travels beside the rows. */
  readonly hasBeside: boolean;
  /** Whether some of that lies in rows as tokens do. */
  readonly hasBesideRows: boolean;
  /** Type of the elements that dispatch moves. */
  readonly rowType: string;
  /** Type of the elements that combine moves, as names of conversions have it. */
  readonly combineType: string;
  readonly elementsPerVector: string;
  /** Elements of the rows that low-latency combine pulls, in a 16-byte vector. */
  readonly llElementsPerVector: string;
  /** `kernel` without `_kernel`, of every kernel that the spec has. */
  readonly kernels: readonly string[];
  readonly exchange: ConstantsView;
  readonly dispatch: ConstantsView;
  readonly combine: ConstantsView;
  readonly expertMajor: ConstantsView;
  readonly llDispatch: ConstantsView;
  readonly llCombine: ConstantsView;
  readonly llStage: ConstantsView;
  readonly dispatchLayout: ConstantsView;
  readonly structs: readonly StructView[];
  readonly args: readonly ArgsView[];
  readonly regions: readonly RegionView[];
  readonly window: ConstantsView;
  readonly recordBytes: string;
  readonly reuseLines: readonly string[];
}

export interface StructView {
  readonly name: string;
  readonly docLines: readonly string[];
  /** The struct's head, such as `struct alignas(128) Control`. */
  readonly head: string;
  readonly fieldLines: readonly string[];
  readonly asserts: readonly AssertView[];
}

export interface ArgsView {
  readonly name: string;
  readonly doc: string;
  readonly fieldLines: readonly string[];
}

export interface RegionView {
  readonly doc: string;
  readonly ctype: string;
  readonly constant: string;
  /** The fields of Region<T> in order, in braces. */
  readonly initializer: string;
}

export function viewFromLayout({
  spec,
  plan,
  layout,
}: {
  spec: Spec;
  plan: Plan;
  layout: Layout;
}): View {
  return {
    specName: spec.name,
    namespace: spec.name,
    specHash: specHash(spec),
    summary: summaryOf(spec),
    cppIndexType: plan.topkIdxType,
    hasHt: hasHt(plan),
    hasBeside: plan.features.hasScales || plan.features.hasExtras,
    hasBesideRows: hasBesideRows(plan.features),
    rowType: spec.dtype,
    combineType: spec.combineDtype,
    elementsPerVector: `${plan.combine?.elementsPerVector ?? 0}`,
    llElementsPerVector: `${plan.llCombine?.elementsPerVector ?? 0}`,
    kernels: kernelNames(plan),
    ...plan.features,
    exchange: constantsView(plan, 'exchange'),
    dispatch: constantsView(plan, 'dispatch'),
    combine: constantsView(plan, 'combine'),
    expertMajor: constantsView(plan, 'expertMajor'),
    llDispatch: constantsView(plan, 'llDispatch'),
    llCombine: constantsView(plan, 'llCombine'),
    llStage: constantsView(plan, 'llStage'),
    dispatchLayout: constantsView(plan, 'dispatchLayout'),
    structs: layout.structs.map(structView),
    args: layout.args.map(argsView),
    regions: layout.regions.map(regionView),
    window: constantsView(plan, 'window'),
    recordBytes: `${layout.recordBytes}`,
    reuseLines: reuseLines(plan.reuse),
  };
}

function hasBesideRows({ hasScales, hasColumnScales, hasExtras }: Features): boolean {
  return (hasScales && !hasColumnScales) || hasExtras;
}

function summaryOf({ ranks, experts, topk, hidden, dtype }: Spec): string {
  const rows = `rows of ${hidden} ${DTYPES[dtype].shortName}`;
  return `${counted(ranks, 'rank')}, ${counted(experts, 'expert')}, top-${topk}, ${rows}`;
}

function structView(record: RecordLayout): StructView {
  const declarations = record.fields.map(
    ({ ctype, name, isArray, count, isOveraligned, align, note }) => ({
      text: `${isOveraligned ? `alignas(${align}) ` : ''}${ctype} ${name}${isArray ? `[${count}]` : ''};`,
      note,
    }),
  );
  const shared = SHARED_RECORDS.find(([name]) => name === record.name);
  const drift = (what: string) => `layout drift: ${what}`;
  return {
    name: record.name,
    docLines: wrapText(record.doc, COLUMNS - 4),
    head: `struct ${record.isOveraligned ? `alignas(${record.align}) ` : ''}${record.name}`,
    fieldLines: annotated(declarations),
    asserts: [
      ...record.fields.map(({ name, offset }) =>
        assertView({
          expr: `offsetof(${record.name}, ${name}) == ${offset}`,
          message: drift(`${record.name}.${name}`),
        }),
      ),
      assertView({
        expr: `sizeof(${record.name}) == ${shared ? cppName(shared[1]) : record.bytes}`,
        message: drift(record.name),
      }),
    ],
  };
}

/** Records whose size is also a constant of their kernel. */
const SHARED_RECORDS = [
  ['DispatchShared', 'dispatch.sharedBytes'],
  ['CombineShared', 'combine.sharedBytes'],
  ['ExpertMajorShared', 'expertMajor.sharedBytes'],
  ['DispatchLayoutShared', 'dispatchLayout.sharedBytes'],
  ['LlDispatchShared', 'llDispatch.sharedBytes'],
  ['LlCombineShared', 'llCombine.sharedBytes'],
  ['LlStageShared', 'llStage.sharedBytes'],
] as const;

function argsView({ name, doc, fields }: ArgsRecord): ArgsView {
  return {
    name,
    doc,
    fieldLines: annotated(
      fields.map((field) => ({ text: `${field.ctype} ${field.name};`, note: field.note })),
    ),
  };
}

/** Declarations with their notes in one column. */
function annotated(
  declarations: readonly { readonly text: string; readonly note: string }[],
): string[] {
  const width = Math.max(...declarations.map(({ text }) => text.length));
  return declarations.map(({ text, note }) => (note ? `${text.padEnd(width)}  // ${note}` : text));
}

function regionView({ name, ctype, offset, count, stride, numBuffers, doc }: Region): RegionView {
  const constant = `k${name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())}`;
  return {
    doc,
    ctype,
    constant,
    initializer: `{${offset}, ${count}, ${stride}, ${numBuffers}, "${name}"}`,
  };
}
