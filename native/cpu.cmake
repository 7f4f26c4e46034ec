# The CPU backend: kernels are C++ on the emulator.
find_library(EPGEN_BOOST_CONTEXT NAMES libboost_context.a)
if(NOT EPGEN_BOOST_CONTEXT)
  message(FATAL_ERROR "libboost_context.a was not found: install libboost-context-dev (Debian, Ubuntu)")
endif()

target_compile_definitions(epgen_flags INTERFACE EPGEN_CPU)

set(cpu_backend_sources runtime/cpu_backend.cpp runtime/emulator_report.cpp)
target_sources(epgen_host PRIVATE ${cpu_backend_sources})
set_source_files_properties(${cpu_backend_sources} PROPERTIES UNITY_GROUP runtime)

add_library(epgen_simt OBJECT
  simt/blocks.cpp simt/bulk.cpp simt/engine.cpp simt/extent.cpp simt/machine.cpp simt/mbarrier.cpp
  simt/rendezvous.cpp simt/report.cpp simt/reservation.cpp simt/scheduler.cpp simt/stack_pool.cpp simt/streams.cpp)
target_link_libraries(epgen_simt PRIVATE epgen_flags)
target_compile_options(epgen_simt PRIVATE -O2)
set_target_properties(epgen_simt PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)

function(epgen_backend name dir)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  target_sources(${name} PRIVATE $<TARGET_OBJECTS:epgen_simt>)
  # Reports name files as they are called in the generated folder.
  target_compile_options(${name} PRIVATE -O2 "-fmacro-prefix-map=${dir}/=")
  # now: binding a symbol on its first call would run on a fiber's small stack.
  target_link_libraries(${name} PRIVATE epgen_flags "${EPGEN_BOOST_CONTEXT}" Threads::Threads)
  target_link_options(${name} PRIVATE -Wl,-z,now)
endfunction()
