import { type ArgsRecord, argsRecords } from './args.js';
import { handleHeader } from './handle.js';
import type { Plan } from './plan.js';
import { CTYPES, type Field, type RecordLayout } from './record.js';
import { combineShared, dispatchLayoutShared, dispatchShared } from './shared-memory.js';
import { controlRecord, type Region, windowRegions } from './window.js';

/** Size of native/device/'s CountRecord, which the counts per local expert follow. */
const COUNT_RECORD_BYTES = 24;

/** Where everything lies: every struct, every region of the window. */
export interface Layout {
  /** Structs with asserted offsets, in the order of layout.cuh. */
  readonly structs: readonly RecordLayout[];
  readonly args: readonly ArgsRecord[];
  readonly regions: readonly Region[];
  readonly handle: { readonly headerBytes: number; readonly fields: readonly Field[] };
  readonly windowBytes: number;
  /** Mapped host memory that one call's counts take. */
  readonly recordBytes: number;
}

export function layoutFromPlan(plan: Plan): Layout {
  const header = handleHeader(plan);
  const shape = {
    numRanks: plan.numRanks,
    numExperts: plan.numExperts,
    numChannels: plan.numChannels,
  };
  return {
    structs: [
      controlRecord(plan),
      header,
      dispatchShared({ ...shape, ...plan.dispatch }),
      combineShared(plan.combine),
      dispatchLayoutShared(shape),
    ],
    args: argsRecords(plan),
    regions: windowRegions(plan),
    handle: { headerBytes: header.bytes, fields: header.fields },
    windowBytes: plan.windowBytes,
    recordBytes: COUNT_RECORD_BYTES + plan.numLocalExperts * CTYPES.int32_t.bytes,
  };
}
