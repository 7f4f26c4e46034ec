# The CPU backend: kernels are C++ on the emulator.
include("${CMAKE_CURRENT_SOURCE_DIR}/simt.cmake")

set(cpu_backend_sources runtime/cpu_backend.cpp runtime/cpu_trace.cpp runtime/emulator_report.cpp)
target_sources(epgen_host PRIVATE ${cpu_backend_sources})
set_source_files_properties(${cpu_backend_sources} PROPERTIES UNITY_GROUP runtime)

function(epgen_backend name dir)
  epgen_emulate(${name} "${dir}" ${ARGN})
  target_compile_options(${name} PRIVATE -O2)
endfunction()
