// The one header that kernels include: every primitive a kernel may use, for both backends.
//
// Under nvcc a primitive is an inline PTX instruction of the same name; under g++ (EPGEN_CPU) it calls the SIMT
// emulator. Each header below states the contract once, above both bodies. Kernels use nothing else: no CUDA
// built-in, no inline assembly, no dereference of a raw pointer.
#pragma once

#include "device/place.cuh"
#include "device/pointer.cuh"
#include "device/thread.cuh"
#include "device/bits.cuh"
#include "device/memory.cuh"
#include "device/barrier.cuh"
#include "device/mbarrier.cuh"
#include "device/bulk.cuh"
#include "device/wait.cuh"
#include "device/numeric.cuh"
#include "device/window.cuh"
#include "device/channel.cuh"
#include "device/ring.cuh"
#include "device/record.cuh"
#include "device/kernel.cuh"
