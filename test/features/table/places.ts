import type { PeerCell } from '../feature.js';

/** A peer that has nothing of the kind on its path for such calls. */
export const none: PeerCell = ['—'];

export const v1 = {
  buffer: 'deep_ep/buffers/legacy.py',
  host: 'csrc/legacy/buffer.hpp',
  config: 'csrc/legacy/config.hpp',
  kernels: 'csrc/kernels/legacy/intranode.cu',
  launch: 'csrc/kernels/legacy/launch.cuh',
  lowLatency: 'csrc/kernels/legacy/internode_ll.cu',
  setup: 'setup.py',
} as const;

export const v2 = {
  buffer: 'deep_ep/buffers/elastic.py',
  host: 'csrc/elastic/buffer.hpp',
  kernels: 'deep_ep/include/deep_ep/impls/dispatch.cuh',
  waits: 'deep_ep/include/deep_ep/common/comm.cuh',
  compiler: 'csrc/jit/compiler.hpp',
  combine: 'deep_ep/include/deep_ep/impls/combine.cuh',
  layout: 'deep_ep/include/deep_ep/common/layout.cuh',
} as const;

export const mscclpp = {
  readme: 'src/ext/ep/README.md',
  host: 'src/ext/ep/buffer.cc',
  config: 'src/ext/ep/config.hpp',
  kernels: 'src/ext/ep/kernels/intranode_kernel.cu',
  launch: 'src/ext/ep/kernels/launch.cuh',
  lowLatency: 'src/ext/ep/kernels/internode_ll.cu',
} as const;

export const nccl = {
  host: 'contrib/nccl_ep/nccl_ep.cc',
  compiler: 'contrib/nccl_ep/device/jit/jit_runtime.cc',
  api: 'contrib/nccl_ep/include/nccl_ep.h',
  macros: 'contrib/nccl_ep/device/macros.cuh',
} as const;

export const flashinfer = {
  api: 'flashinfer/comm/trtllm_moe_alltoall.py',
  kernels: 'csrc/nv_internal/tensorrt_llm/kernels/communicationKernels/moeAlltoAllKernels.cu',
  params: 'csrc/nv_internal/tensorrt_llm/kernels/communicationKernels/moeAlltoAllKernels.h',
} as const;
