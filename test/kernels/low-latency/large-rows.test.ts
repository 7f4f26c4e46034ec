import { describeShapes } from '../../support/low-latency-shapes.js';
import { lowLatencySpecs } from '../../support/low-latency-specs.js';

// Rows in several pieces, hidden to 16384, and 320 experts.

const specs = Object.entries(lowLatencySpecs).filter(([, { hidden }]) => hidden >= 1024);

describeShapes(Object.fromEntries(specs));
