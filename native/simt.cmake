# The emulator, compiled once for all specs of a tree.
find_library(EPGEN_BOOST_CONTEXT NAMES libboost_context.a)
if(NOT EPGEN_BOOST_CONTEXT)
  message(FATAL_ERROR "libboost_context.a was not found: install libboost-context-dev (Debian, Ubuntu)")
endif()

target_compile_definitions(epgen_flags INTERFACE EPGEN_CPU)

file(GLOB_RECURSE simt_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/simt/*.cpp")
# What instrumented kernels call: the verifier alone has them.
list(FILTER simt_sources EXCLUDE REGEX "/raw_access\\.cpp$")
add_library(epgen_simt OBJECT ${simt_sources})
target_link_libraries(epgen_simt PRIVATE epgen_flags)
target_compile_options(epgen_simt PRIVATE -O2)
set_target_properties(epgen_simt PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)

# epgen_emulate(<target> <dir> <kernels...>): the target's kernels are C++ on the emulator.
function(epgen_emulate name dir)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  target_sources(${name} PRIVATE $<TARGET_OBJECTS:epgen_simt>)
  # Reports name files as they are called in the generated folder.
  target_compile_options(${name} PRIVATE "-fmacro-prefix-map=${dir}/=")
  # now: binding a symbol on its first call would run on a fiber's small stack.
  target_link_libraries(${name} PRIVATE epgen_flags "${EPGEN_BOOST_CONTEXT}" Threads::Threads)
  target_link_options(${name} PRIVATE -Wl,-z,now)
endfunction()
