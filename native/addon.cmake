# Addons: one module per spec on the same runtime and Node-API layer, and a backend below them.

# cmake-js passes the include folders; a plain cmake asks Node.
set(EPGEN_NODE_INCLUDES "${CMAKE_JS_INC}")
if(NOT EPGEN_NODE_INCLUDES)
  execute_process(
    COMMAND node -p "[require('node-api-headers').include_dir, require('node-addon-api').include_dir].join(';')"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" OUTPUT_VARIABLE EPGEN_NODE_INCLUDES
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()

# The host, compiled once for all specs; each backend adds its own sources. In few units, since headers take most of the
# time.
set(runtime_sources
  runtime/arena.cpp runtime/group.cpp runtime/group_calls.cpp runtime/group_devices.cpp runtime/group_expert_major.cpp
  runtime/group_failure.cpp runtime/group_graph.cpp runtime/group_low_latency.cpp
  runtime/group_memory.cpp runtime/group_records.cpp runtime/group_streams.cpp runtime/reports.cpp)
set(addon_sources addon/addon.cpp addon/convert.cpp addon/group_object.cpp addon/group_object_devices.cpp
  addon/group_object_graphs.cpp addon/group_object_low_latency.cpp addon/group_object_memory.cpp
  addon/group_object_streams.cpp)
add_library(epgen_host OBJECT ${runtime_sources} ${addon_sources})
set_source_files_properties(${runtime_sources} PROPERTIES UNITY_GROUP runtime)
set_source_files_properties(${addon_sources} PROPERTIES UNITY_GROUP addon)
set_target_properties(epgen_host PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
target_link_libraries(epgen_host PRIVATE epgen_flags)
target_include_directories(epgen_host SYSTEM PRIVATE ${EPGEN_NODE_INCLUDES})
target_compile_definitions(epgen_host PRIVATE
  NAPI_VERSION=8 NODE_ADDON_API_CPP_EXCEPTIONS_ALL NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
target_compile_options(epgen_host PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O1>)

include("${CMAKE_CURRENT_SOURCE_DIR}/${EPGEN_BACKEND}.cmake")

# epgen_spec(<name> <dir>): the addon of the spec whose generated files are in <dir>.
function(epgen_spec name dir)
  file(GLOB kernels CONFIGURE_DEPENDS "${dir}/*.cu")
  add_library(${name} MODULE ${kernels} "${dir}/launch.cpp" $<TARGET_OBJECTS:epgen_host>)
  target_include_directories(${name} PRIVATE "${dir}")
  epgen_backend(${name} "${dir}" ${kernels})
  target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc
    "-Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/addon/exports.map")
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".node" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/Release")
endfunction()
