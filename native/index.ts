export type {
  ChannelOptions,
  CombineCall,
  Combined,
  DispatchCall,
  DispatchLayout,
  DispatchLayoutCall,
  EnqueuedReceived,
  Received,
  ReceivedRows,
} from './call-types.js';
export type { BitsOf, DType, ValuesOf } from './dtype.js';
export type { ErrorCode, ErrorDetails } from './errors.js';
export {
  EpgenArgumentError,
  EpgenCudaError,
  EpgenError,
  EpgenStaleError,
  EpgenTimeoutError,
  EpgenToolError,
  EpgenUnsupportedError,
} from './errors.js';
export type { Group } from './group.js';
export type { Handle } from './handle.js';
export { openModule } from './open-module.js';
export type { Backend, OpenGroupOptions } from './options.js';
export type { Rank } from './rank.js';
export type { HandleLayout, ModuleDescription, Region, Sizes, Spec } from './spec-types.js';
export type { AnyTensor, Tensor } from './tensor.js';
