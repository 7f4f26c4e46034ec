/** A vertical line of the drawing: a warp, a rank's stream, or a rank's memory where no drawn warp looks. */
export interface Lifeline {
  readonly kind: 'warp' | 'stream' | 'memory';
  readonly rank: number;
  /** Below 0 where it is no warp. */
  readonly block: number;
  readonly warp: number;
}

interface Position {
  readonly rank: number;
  readonly block: number;
  readonly warp: number;
}

const STREAM = -1;
const MEMORY = -2;

export const lineKey = ({ rank, block, warp }: Position): string => `${rank}/${block}/${warp}`;
export const streamKey = (rank: number): string => `${rank}/${STREAM}/0`;
export const memoryKey = (rank: number): string => `${rank}/${MEMORY}/0`;

export function lineOf(key: string): Lifeline {
  const [rank = 0, block = 0, warp = 0] = key.split('/').map(Number);
  const kind = block === STREAM ? 'stream' : block === MEMORY ? 'memory' : 'warp';
  return { kind, rank, block, warp };
}

/** Ranks from left to right, a rank's stream before its warps and its memory after them. */
export function compareLines(a: Lifeline, b: Lifeline): number {
  const order = ['stream', 'warp', 'memory'];
  return (
    a.rank - b.rank ||
    order.indexOf(a.kind) - order.indexOf(b.kind) ||
    a.block - b.block ||
    a.warp - b.warp
  );
}

export function lineTitle({ kind, rank, block, warp }: Lifeline): string[] {
  return [`rank ${rank}`, kind === 'warp' ? `block ${block} warp ${warp}` : kind];
}
