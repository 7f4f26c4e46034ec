import type { Hazard } from './hazard.js';
import { calls } from './hazards/calls.js';
import { inputs } from './hazards/inputs.js';
import { surroundings } from './hazards/surroundings.js';
import { ways } from './hazards/ways.js';

/** What such libraries are known to get wrong. */
export const hazards: readonly Hazard[] = [...inputs, ...calls, ...ways, ...surroundings];
