import type { RawTimeoutDetail, RawWaitRecord } from './addon-types.js';

/** Who waited for whom, who never called, and how to call. */
export function timeoutMessage(detail: RawTimeoutDetail, numRanks: number): string {
  const { records, waitedMs, idleRanks } = detail;
  // Ranks that only followed another one say nothing about the cause.
  const causes = records.filter(({ reason }) => reason === 'deadline');
  const op = records[0]?.op ?? 'dispatch';
  const lines = [`${op} was given up after ${Math.round(waitedMs)} ms:`, ...causes.map(waitLine)];
  if (idleRanks.length > 0) lines.push(...idleLines(op, idleRanks, numRanks));
  return lines.join('\n');
}

function waitLine({
  op,
  phase,
  rank,
  peer,
  channel,
  epoch,
  expected,
  seen,
}: RawWaitRecord): string {
  const whose = peer < 0 ? '' : ` of rank ${peer}`;
  const where = channel < 0 ? '' : `channel ${channel}, `;
  return `  rank ${rank} waited in ${op} for ${phase}${whose} (${where}call ${epoch}): expected ${expected}, saw ${seen}`;
}

function idleLines(op: string, idleRanks: readonly number[], numRanks: number): readonly string[] {
  const who = idleRanks.length === 1 ? `Rank ${idleRanks[0]}` : `Ranks ${idleRanks.join(', ')}`;
  const all = `${who} never called ${op}. All ${numRanks} ranks must call before`;
  if (returnsAtOnce(op)) {
    return [
      `${all} what any of them gives is read:`,
      `  group.${op}([...]), with one call per rank, or`,
      `  group.ranks.map((rank) => rank.${op}(...))`,
    ];
  }
  return [
    `${all} any of them is awaited:`,
    `  await group.${op}([...]), with one call per rank, or`,
    `  await Promise.all(group.ranks.map((rank) => rank.${op}(...)))`,
  ];
}

/** Low-latency calls are no promises. */
function returnsAtOnce(op: string): boolean {
  return op === 'lowLatencyDispatch' || op === 'lowLatencyCombine';
}
