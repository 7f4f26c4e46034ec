/** The short model of every operation: what the kernels' results are compared with, bit for bit. */
export { bf16FromFloat, floatFromBf16 } from './bf16.js';
export type { CombineInput, CombineReferenceCall } from './combine.js';
export { combineReference } from './combine.js';
export type {
  DispatchInput,
  DispatchOutput,
  DispatchReferenceCall,
  ReferenceHandle,
} from './dispatch.js';
export { dispatchReference } from './dispatch.js';
export type { DispatchLayoutReference } from './layout.js';
export { dispatchLayoutReference } from './layout.js';
export type { Routing } from './routing.js';
