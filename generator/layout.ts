import { type ArgsRecord, argsRecords } from './args.js';
import { handleHeader, llHandleHeader } from './handle.js';
import { type ExpertMajorPlan, hasHt, type WithHt } from './high-throughput-plan.js';
import { llCombineShared, llDispatchShared, llStageShared } from './low-latency-shared-memory.js';
import { llControlRecord } from './low-latency-window.js';
import type { Plan } from './plan.js';
import { CTYPES, type Field, type RecordLayout } from './record.js';
import {
  combineShared,
  dispatchLayoutShared,
  dispatchShared,
  expertCountsShared,
  expertMajorShared,
} from './shared-memory.js';
import { controlRecord, type Region, windowRegions } from './window.js';

/** Size of native/device/'s CountRecord, which the counts follow. */
const COUNT_RECORD_BYTES = 24;

/** Where everything lies: every struct, every region of the window. */
export interface Layout {
  /** Structs with asserted offsets, in the order of layout.cuh. */
  readonly structs: readonly RecordLayout[];
  readonly args: readonly ArgsRecord[];
  readonly regions: readonly Region[];
  /** Of high-throughput calls, where the spec has them. */
  readonly handle?: HandleLayout;
  /** Of low-latency calls, likewise. */
  readonly llHandle?: HandleLayout;
  readonly windowBytes: number;
  /** Mapped host memory that one call's counts take. */
  readonly recordBytes: number;
}

export interface HandleLayout {
  readonly headerBytes: number;
  readonly fields: readonly Field[];
}

export function layoutFromPlan(plan: Plan): Layout {
  const ht = hasHt(plan) ? plan : undefined;
  return {
    structs: [
      controlRecord(plan),
      ...(ht ? highThroughputRecords(ht) : []),
      ...lowLatencyRecords(plan),
      ...(ht ? [dispatchLayoutShared(ht)] : []),
    ],
    args: argsRecords(plan),
    regions: windowRegions(plan),
    ...(ht ? { handle: handleLayout(handleHeader(ht)) } : {}),
    ...(plan.features.hasLl ? { llHandle: handleLayout(llHandleHeader(plan)) } : {}),
    windowBytes: plan.windowBytes,
    recordBytes: COUNT_RECORD_BYTES + (ht ? numRecordedCounts(ht) * CTYPES.int32_t.bytes : 0),
  };
}

function highThroughputRecords(plan: WithHt<Plan>): readonly RecordLayout[] {
  return [
    handleHeader(plan),
    dispatchShared({ ...plan, ...plan.dispatch }),
    combineShared(plan.combine),
    ...(plan.expertMajor ? expertMajorRecords(plan, plan.expertMajor) : []),
  ];
}

/** Counts per local expert, and per rank where rows have gaps between ranks; low-latency calls count on the device alone. */
function numRecordedCounts({ numLocalExperts, numRanks, features }: Plan): number {
  return numLocalExperts + (features.isSlotted ? numRanks : 0);
}

function expertMajorRecords(
  { numLocalExperts }: Plan,
  { numWarps }: ExpertMajorPlan,
): readonly RecordLayout[] {
  return [
    expertCountsShared({ numLocalExperts }),
    expertMajorShared({ numLocalExperts, numWarps }),
  ];
}

function lowLatencyRecords(plan: Plan): readonly RecordLayout[] {
  const { llDispatch, llCombine } = plan;
  if (!llDispatch || !llCombine) return [];
  return [
    llControlRecord(plan),
    llHandleHeader(plan),
    llDispatchShared({ ...plan, ...llDispatch }),
    llCombineShared(llCombine),
    llStageShared(),
  ];
}

function handleLayout({ bytes, fields }: RecordLayout): HandleLayout {
  return { headerBytes: bytes, fields };
}
