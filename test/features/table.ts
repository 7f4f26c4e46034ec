import type { Feature } from './feature.js';
import { calls } from './table/calls.js';
import { operating } from './table/operating.js';
import { rows } from './table/rows.js';
import { running } from './table/running.js';
import { shapes } from './table/shapes.js';

/** High-throughput exchange on one host, feature by feature. */
export const features: readonly Feature[] = [
  ...shapes,
  ...rows,
  ...calls,
  ...running,
  ...operating,
];
