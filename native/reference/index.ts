/** The short model of every operation: what the kernels' results are compared with, bit for bit. */
export { bf16FromFloat, floatFromBf16 } from './bf16.js';
export type { Bits, Indices } from './bits.js';
export type { Fp8Blocks, Fp8Rows } from './cast.js';
export { castFromFp8, castToFp8 } from './cast.js';
export type {
  CombineInput,
  CombineReferenceCall,
  CombineWeightsReferenceCall,
} from './combine.js';
export { combineReference, combineWeightsReference } from './combine.js';
export type {
  CachedInput,
  DispatchInput,
  DispatchOutput,
  DispatchReferenceCall,
  DispatchRows,
  DispatchShape,
  ReceivedRows,
  RoutedOutput,
  WithoutTopkInput,
} from './dispatch.js';
export {
  cachedDispatchReference,
  dispatchReference,
  dispatchWithoutTopkReference,
} from './dispatch.js';
export type {
  ExpertMajorOutput,
  ExpertMajorReferenceCall,
  ExpertSumReferenceCall,
} from './expert-major.js';
export { expertMajorReference, expertSumReference } from './expert-major.js';
export { f16FromFloat, floatFromF16 } from './f16.js';
export { fma } from './fma.js';
export { floatFromFp8, fp8FromFloat } from './fp8.js';
export type { ReferenceHandle } from './handle.js';
export type { DispatchLayoutReference } from './layout.js';
export { dispatchLayoutReference } from './layout.js';
export type {
  LowLatencyCombineInput,
  LowLatencyCombineReferenceCall,
} from './low-latency-combine.js';
export { lowLatencyCombineReference } from './low-latency-combine.js';
export type {
  LowLatencyCast,
  LowLatencyDispatchReferenceCall,
  LowLatencyInput,
  LowLatencyOutput,
} from './low-latency-dispatch.js';
export { lowLatencyDispatchReference } from './low-latency-dispatch.js';
export type { Routing } from './routing.js';
export type { ScaleShape } from './scales.js';
export { packUe8m0, scaleColumns, scaleIndex, scaleLength, unpackUe8m0 } from './scales.js';
export type { SummedBits, SummedDtype } from './summed.js';
