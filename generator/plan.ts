import { autoArenaBytes } from './arena.js';
import { INDEX_TYPES } from './dtype.js';
import { type Features, featuresOf } from './features.js';
import { type HighThroughputPlan, highThroughputPlan } from './high-throughput-plan.js';
import { type LowLatencyPlan, lowLatencyPlan } from './low-latency-plan.js';
import type { Pieces } from './pieces.js';
import type { Ctype } from './record.js';
import { type ReuseEdge, reuseTable } from './reuse.js';
import { requireRules } from './rules.js';
import { SHARED_BYTES_LIMIT } from './shared-memory.js';
import type { Spec } from './spec.js';
import { windowBytesOf, windowRegions } from './window.js';

/** How a rank reaches the rank so many places after it. */
export type PeerClass = 'self' | 'memory' | 'port';

/** A ring of stages in shared memory that pieces of rows pass through. */
export interface RingPlan extends Pieces {
  readonly numStages: number;
}

export interface KernelPlan {
  readonly numWarps: number;
  readonly numThreads: number;
  /** Shared memory of a block. */
  readonly sharedBytes: number;
}

/** Every number that follows from a spec. */
export interface Plan extends Partial<HighThroughputPlan>, LowLatencyPlan {
  readonly name: string;
  readonly numRanks: number;
  readonly numNodes: number;
  readonly numLocalRanks: number;
  /** By distance: entry d tells how rank r reaches rank (r + d) % numRanks. */
  readonly peerClasses: readonly PeerClass[];
  readonly hidden: number;
  readonly numExperts: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly topkIdxType: Ctype;
  readonly features: Features;
  readonly sharedBytesLimit: number;
  readonly windowBytes: number;
  readonly arenaBytes: number;
  readonly reuse: readonly ReuseEdge[];
}

/**
 * The plan of a spec, with every rule checked: shared memory fits, offsets fit their words.
 * @throws EpgenSpecError that names every broken rule.
 */
export function planFromSpec(spec: Spec): Plan {
  const plan = derivePlan(spec);
  requireRules(plan, spec.name);
  return plan;
}

/** The numbers alone. For a spec that breaks rules they are as wrong as the spec is. */
export function derivePlan(spec: Spec): Plan {
  const common = {
    numRanks: spec.ranks,
    numExperts: spec.experts,
    numLocalExperts: spec.experts / spec.ranks,
    numTopk: spec.topk,
  };
  const features = featuresOf(spec);
  const ht = highThroughputPlan(spec, { ...common, features });
  const shape = {
    ...common,
    ...ht?.rows,
    topkIdxType: INDEX_TYPES[spec.topkIdx].cppType,
    ...ht?.beside,
    features,
    ...ht?.buffers,
    ...lowLatencyPlan(spec),
  };
  return {
    name: spec.name,
    numNodes: Math.ceil(spec.ranks / spec.ranksPerNode),
    numLocalRanks: Math.min(spec.ranks, spec.ranksPerNode),
    peerClasses: peerClasses(spec),
    ...shape,
    hidden: spec.hidden,
    ...ht?.results,
    sharedBytesLimit: SHARED_BYTES_LIMIT,
    ...ht?.kernels,
    windowBytes: windowBytesOf(windowRegions(shape)),
    arenaBytes:
      spec.arenaBytes === 'auto' ? autoArenaBytes({ ...shape, ...ht?.handle }) : spec.arenaBytes,
    ...ht?.handle,
    reuse: reuseTable({ ...shape, ...spec.ht }),
  };
}

function peerClasses({ ranks, ranksPerNode }: Spec): PeerClass[] {
  // Ranks of several nodes differ in whom they reach through memory, so distance alone doesn't tell.
  const far: PeerClass = ranks <= ranksPerNode ? 'memory' : 'port';
  return Array.from({ length: Math.min(ranks, 64) }, (_, distance) =>
    distance === 0 ? 'self' : far,
  );
}
