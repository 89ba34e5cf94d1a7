# The plugin layer: its libraries that are wrong in one way each, and tests that run in both modes.
add_subdirectory(plugin/so)
circus_test(plugin_host LINK circus_plugin)
circus_test(plugin_sinks LINK circus_plugin)
target_compile_definitions(plugin_host_test PRIVATE CIRCUS_TEST_PLUGINS="${CMAKE_BINARY_DIR}/tests/plugins")
add_dependencies(plugin_host_test ticker greeter no_symbol hooks_good hooks_wrong_major)

# What each plugin exports is circus_plugin_v1 and nothing else.
set(plugin_files $<TARGET_FILE:everything> $<TARGET_FILE:throws> $<TARGET_FILE:off_loop>)
file(GLOB shipped CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/plugins ${CMAKE_SOURCE_DIR}/plugins/*/CMakeLists.txt)
foreach(folder ${shipped})
    get_filename_component(folder ${folder} DIRECTORY)
    if(TARGET ${folder})
        list(APPEND plugin_files $<TARGET_FILE:${folder}>)
    endif()
endforeach()
add_test(NAME plugin_exports COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/abi/exports.py ${plugin_files})
