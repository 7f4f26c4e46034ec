import { describeShapes } from '../../support/low-latency-shapes.js';
import { lowLatencySpecs } from '../../support/low-latency-specs.js';

// Ranks 1 to 8, one vector of hidden and more, top-1 to top-32.

const specs = Object.entries(lowLatencySpecs).filter(([, { hidden }]) => hidden < 1024);

describeShapes(Object.fromEntries(specs));
