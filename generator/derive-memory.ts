import { arenaParts } from './arena.js';
import { type Derivation, type Derive, type Derived, sumOfFields } from './derivation.js';
import { handleHeader, slotBytesOf } from './handle.js';
import { hasHt } from './high-throughput-plan.js';
import { llControlRecord } from './low-latency-window.js';
import type { Plan } from './plan.js';
import { controlRecord, type Region, windowRegions } from './window.js';

/** How the sizes of what a rank reserves follow from their parts. */
export const MEMORY = {
  windowBytes: ({ plan }) => ({
    formula: `roundUp(${names(windowParts(plan)).join(' + ')}, PAGE_BYTES)`,
  }),
  arenaBytes: ({ spec, plan }) =>
    spec.arenaBytes === 'auto'
      ? { formula: `roundUp(${names(partsOfArena({ spec, plan })).join(' + ')}, ARENA_UNIT_BYTES)` }
      : { formula: 'spec.arenaBytes', note: 'as asked' },
  handleBytes: 'roundUp(handle.header + handle.slot, HANDLE_ALIGN)',
} as const satisfies Readonly<Record<string, Derive>>;

/** A summand of one of these sizes. */
export interface Part {
  readonly name: string;
  readonly value: number;
  readonly derivation: Derivation;
}

/** Every summand, in the order of the memory. */
export function memoryParts(derived: Derived): readonly Part[] {
  const { plan } = derived;
  return [...windowParts(plan), ...partsOfArena(derived), ...handleParts(plan)];
}

function windowParts(plan: Plan): readonly Part[] {
  return windowRegions(plan).map((region) => ({
    name: `window.${region.name}`,
    value: region.stride * region.numBuffers,
    derivation: sizeOf(plan, region),
  }));
}

function sizeOf(plan: Plan, region: Region): Derivation {
  if (region.ctype === 'Control') return sumOfFields(controlRecord(plan));
  if (region.ctype === 'LlControl') return sumOfFields(llControlRecord(plan));
  return regionSize(region);
}

function regionSize({ dims, elementBytes, buffers }: Region): Derivation {
  const factors = elementBytes === 1 ? dims : [...dims, `${elementBytes}`];
  const stride = `roundUp(${factors.join(' × ')}, WINDOW_ALIGN)`;
  return { formula: buffers ? `${buffers} × ${stride}` : stride };
}

function partsOfArena({ spec, plan }: Derived): readonly Part[] {
  if (spec.arenaBytes !== 'auto') return [];
  return arenaParts(plan).map(({ name, bytes, formula }) => ({
    name: `arena.${name}`,
    value: bytes,
    derivation: { formula },
  }));
}

function handleParts(plan: Plan): readonly Part[] {
  if (!hasHt(plan)) return [];
  const header = handleHeader(plan);
  return [
    { name: 'handle.header', value: header.bytes, derivation: sumOfFields(header) },
    {
      name: 'handle.slot',
      value: slotBytesOf(plan),
      derivation: { formula: 'maxTokensPerRank × numRanks × 4' },
    },
  ];
}

function names(parts: readonly Part[]): string[] {
  return parts.map(({ name }) => name);
}
