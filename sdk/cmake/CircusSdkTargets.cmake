# circus_add_plugin(NAME SOURCES … [LINK …]): the plugin NAME.so, which exports circus_plugin_v1 and nothing else,
# and NAME_objects, the same objects for its unit tests (circus/testing.hpp).
#
# circus_add_hook_library(NAME SOURCES … [LINK …]): NAME.so with functions for `hooks.X = "NAME.so:function"`. They
# are looked up by name, so what is not marked CIRCUS_EXPORT is not found; circus_hooks_v1 must be among them.
if(NOT DEFINED CIRCUS_SDK_INCLUDE_DIR)
    get_filename_component(CIRCUS_SDK_INCLUDE_DIR ${CMAKE_CURRENT_LIST_DIR}/../include ABSOLUTE)
endif()

if(NOT TARGET CircusSdk::CircusSdk)
    add_library(CircusSdk::CircusSdk INTERFACE IMPORTED GLOBAL)
    set_target_properties(CircusSdk::CircusSdk PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES ${CIRCUS_SDK_INCLUDE_DIR})
    # A plugin in C needs none of it.
    find_package(nlohmann_json 3.11 QUIET)
    if(nlohmann_json_FOUND)
        target_link_libraries(CircusSdk::CircusSdk INTERFACE nlohmann_json::nlohmann_json)
    endif()
endif()

function(circus_sdk_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_OPTIONS" ${ARGN})
    if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_SOURCES)
        message(FATAL_ERROR "${name}: SOURCES … [LINK …] expected, not ${ARG_UNPARSED_ARGUMENTS}")
    endif()
    add_library(${name}_objects OBJECT ${ARG_SOURCES})
    target_link_libraries(${name}_objects PUBLIC CircusSdk::CircusSdk ${ARG_LINK})
    target_compile_options(${name}_objects PRIVATE
        -fvisibility=hidden $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>
        $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
    set_target_properties(${name}_objects PROPERTIES
        POSITION_INDEPENDENT_CODE ON CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
    add_library(${name} MODULE $<TARGET_OBJECTS:${name}_objects>)
    target_link_libraries(${name} PRIVATE ${ARG_LINK})
    # A sanitizer's runtime is not linked into a library: there -z defs has to give way.
    if(NOT CIRCUS_SANITIZE)
        target_link_options(${name} PRIVATE -Wl,-z,defs)
    endif()
    target_link_options(${name} PRIVATE ${ARG_LINK_OPTIONS})
    set_target_properties(${name} PROPERTIES PREFIX "" LINKER_LANGUAGE C)
    foreach(source ${ARG_SOURCES})
        if(NOT source MATCHES "\\.c$")
            set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
        endif()
    endforeach()
endfunction()

function(circus_add_plugin name)
    set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
    circus_sdk_library(${name} ${ARGN} LINK_OPTIONS -Wl,--version-script=${map})
    set_target_properties(${name} PROPERTIES LINK_DEPENDS ${map})
endfunction()

function(circus_add_hook_library name)
    circus_sdk_library(${name} ${ARGN})
endfunction()
