import type { Feature } from './feature.js';
import { calls } from './table/calls.js';
import { lowLatency } from './table/low-latency.js';
import { operating } from './table/operating.js';
import { rows } from './table/rows.js';
import { running } from './table/running.js';
import { shapes } from './table/shapes.js';

/** Exchange on one host, feature by feature: high throughput, but for the rows of low latency. */
export const features: readonly Feature[] = [
  ...shapes,
  ...rows,
  ...calls,
  ...running,
  ...lowLatency,
  ...operating,
];
