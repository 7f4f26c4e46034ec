import type { LowLatencyRegion, ReuseAccess, ReuseEdge, ReuseWait } from './edge.js';

export const onOneStream = 'Both are on the owner’s stream.';
export const ownWord =
  'A word carries its epoch; a reader takes it only when the epoch is its own.';

export function edge(
  region: LowLatencyRegion,
  earlier: ReuseAccess,
  later: ReuseAccess,
  proof: { readonly by: ReuseWait; readonly argument: string; readonly distance?: number },
): ReuseEdge {
  const { by: provenBy, argument, distance = 0 } = proof;
  return { region, earlier, later, distance, provenBy, argument };
}

/** A call so many after the one that is spoken of. */
export function call(phase: 'S' | 'R' | 'P' | 'Q', calls: number): string {
  const epoch = phase === 'S' || phase === 'R' ? 'e' : 'g';
  return calls === 0 ? `${phase}(${epoch})` : `${phase}(${epoch}+${calls})`;
}
