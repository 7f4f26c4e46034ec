export type {
  CachedDispatchCall,
  CachedReceived,
  ChannelOptions,
  DispatchCall,
  DispatchLayout,
  DispatchLayoutCall,
  DispatchOptions,
  EnqueuedReceived,
  EnqueuedWithoutTopk,
  LayoutDispatchCall,
  Received,
  ReceivedRows,
  ReceivedWithoutTopk,
} from './call-types.js';
export type { CombineCall, Combined } from './combine-types.js';
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
export type { Event } from './event.js';
export type { ExpertMajor, ExpertMajorOptions } from './expert-major-types.js';
export type { Graph } from './graph.js';
export type { Group } from './group.js';
export type { Handle } from './handle.js';
export type { LowLatencyHandle } from './low-latency-handle.js';
export type {
  LowLatencyCombineCall,
  LowLatencyCombined,
  LowLatencyDispatchCall,
  LowLatencyReceived,
  RecvHook,
} from './low-latency-types.js';
export { openModule } from './open-module.js';
export type { Backend, OpenGroupOptions } from './options.js';
export type { Rank } from './rank.js';
export type { ReadyCounters } from './ready-counters.js';
export type {
  HandleLayout,
  LowLatencyHandleLayout,
  ModuleDescription,
  Region,
  Sizes,
  Spec,
} from './spec-types.js';
export type { Stream } from './stream.js';
export type { AnyTensor, Tensor } from './tensor.js';
