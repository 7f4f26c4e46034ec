# Verifiers: one program per spec, its kernels on the emulator, without Node.
include("${CMAKE_CURRENT_SOURCE_DIR}/simt.cmake")

file(GLOB verify_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/verify/*.cpp")
list(FILTER verify_sources EXCLUDE REGEX "/spec_layout\\.cpp$")  # compiled per spec
add_library(epgen_verify OBJECT ${verify_sources})
target_link_libraries(epgen_verify PRIVATE epgen_flags)
target_compile_options(epgen_verify PRIVATE -O2)
set_target_properties(epgen_verify PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)

# Raw accesses are seen because the compiler announces each load and store as for ThreadSanitizer; the functions that it
# calls are the emulator's own.
target_sources(epgen_verify PRIVATE simt/check/raw_access.cpp)

# epgen_spec(<name> <dir>): the verifier of the spec whose generated files are in <dir>. Headers in <dir>/overlay come
# before those of this folder; <dir>/overlay.hpp says which they are, so that objects follow them.
function(epgen_spec name dir)
  file(GLOB kernels CONFIGURE_DEPENDS "${dir}/*.cu")
  add_executable(${name} ${kernels} "${dir}/launch.cpp" "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/verify/spec_layout.cpp"
    $<TARGET_OBJECTS:epgen_verify>)
  target_include_directories(${name} BEFORE PRIVATE "${dir}/overlay" "${dir}")
  epgen_emulate(${name} "${dir}" ${kernels})
  file(STRINGS "${dir}/layout.cuh" namespace REGEX "^namespace epgen::[a-z0-9_]+ {$" LIMIT_COUNT 1)
  string(REGEX REPLACE "^namespace epgen::| {$" "" namespace "${namespace}")
  target_compile_definitions(${name} PRIVATE "EPGEN_SPEC=${namespace}")
  # -fdebug-prefix-map: addresses of raw accesses resolve to the same names.
  target_compile_options(${name} PRIVATE -O1 "-fdebug-prefix-map=${dir}/=" -include "${dir}/overlay.hpp")
  foreach(kernel ${kernels})
    set_property(SOURCE "${kernel}" APPEND PROPERTY COMPILE_OPTIONS -fsanitize=thread)
  endforeach()
  target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc -no-pie)
  set_target_properties(${name} PROPERTIES
    POSITION_INDEPENDENT_CODE OFF RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/Release")
endfunction()
