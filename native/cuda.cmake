# The CUDA backend: kernels are machine code of one architecture, without a fallback that would hide a wrong one. The
# runtime is static and finds the driver when it is first used, so that an addon loads on a machine without one.
set(CMAKE_CUDA_ARCHITECTURES OFF)  # the flags below say it, for every version of CMake alike
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
set(CMAKE_CUDA_EXTENSIONS OFF)
find_package(CUDAToolkit REQUIRED)

target_compile_options(epgen_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:
  -std=c++20 -lineinfo --generate-code=arch=compute_${EPGEN_CUDA_ARCH},code=[sm_${EPGEN_CUDA_ARCH}] -Xptxas=-v>)

set(cuda_backend_sources
  runtime/cuda_api.cpp runtime/cuda_backend.cpp runtime/cuda_completions.cpp runtime/cuda_context.cpp
  runtime/cuda_events.cpp runtime/cuda_graph.cpp runtime/cuda_rank_graphs.cpp
  runtime/cuda_pointer.cpp runtime/cuda_probe.cpp runtime/cuda_rank.cpp runtime/cuda_rank_open.cpp
  runtime/cuda_worker.cpp runtime/exit_gate.cpp)
target_sources(epgen_host PRIVATE ${cuda_backend_sources} runtime/cuda_kernels.cu)
set_target_properties(epgen_host PROPERTIES CUDA_ARCHITECTURES OFF)  # the target is older than the language
set_source_files_properties(${cuda_backend_sources} PROPERTIES UNITY_GROUP cuda)
target_compile_definitions(epgen_host PRIVATE EPGEN_ARCH="sm_${EPGEN_CUDA_ARCH}")
target_include_directories(epgen_host SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})

function(epgen_backend name dir)
  # nvcc alone knows the device code in the headers of a launch.
  set_source_files_properties("${dir}/launch.cpp" PROPERTIES LANGUAGE CUDA)
  target_link_libraries(${name} PRIVATE epgen_flags Threads::Threads)
endfunction()
