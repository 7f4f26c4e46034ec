import type { Mutant } from '../mutant.js';
import { barriers } from './barriers.js';
import { beside } from './beside.js';
import { blocks } from './blocks.js';
import { cached } from './cached.js';
import { copies } from './copies.js';
import { credit } from './credit.js';
import { experts } from './experts.js';
import { lowLatencyArrivals } from './low-latency-arrivals.js';
import { lowLatencyBarriers } from './low-latency-barriers.js';
import { lowLatencyBlocks } from './low-latency-blocks.js';
import { lowLatencyCasts } from './low-latency-casts.js';
import { lowLatencyCopies } from './low-latency-copies.js';
import { lowLatencyCredit } from './low-latency-credit.js';
import { lowLatencyPulls } from './low-latency-pulls.js';
import { lowLatencyRings } from './low-latency-rings.js';
import { lowLatencyRows } from './low-latency-rows.js';
import { lowLatencyWords } from './low-latency-words.js';
import { orders } from './orders.js';
import { rings } from './rings.js';
import { rows } from './rows.js';
import { sums } from './sums.js';
import { warps } from './warps.js';
import { words } from './words.js';

/** Every bug that is planted, and who is to find it. */
export const mutants: readonly Mutant[] = [
  ...copies,
  ...rings,
  ...orders,
  ...words,
  ...blocks,
  ...barriers,
  ...warps,
  ...rows,
  ...credit,
  ...cached,
  ...beside,
  ...sums,
  ...experts,
  ...lowLatencyCopies,
  ...lowLatencyPulls,
  ...lowLatencyRings,
  ...lowLatencyArrivals,
  ...lowLatencyWords,
  ...lowLatencyBlocks,
  ...lowLatencyBarriers,
  ...lowLatencyCredit,
  ...lowLatencyRows,
  ...lowLatencyCasts,
];
