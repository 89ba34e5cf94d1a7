# The promise of circus/abi.h: the languages it is of, the shape of each minor, what a plugin exports, what is installed.
set(abi ${CMAKE_CURRENT_SOURCE_DIR}/abi)
set(sdk ${CMAKE_SOURCE_DIR}/sdk)
find_program(CIRCUS_CLANG clang)
find_program(CIRCUS_GCC gcc)
foreach(compiler ${CIRCUS_GCC} ${CIRCUS_CLANG})
    get_filename_component(compiler_name ${compiler} NAME)
    foreach(standard c99 c11 c17 c++11 c++17 c++20)
        string(REGEX REPLACE "[0-9]+$" "" language ${standard})
        add_test(NAME abi_header_${compiler_name}_${standard}
            COMMAND ${compiler} -x ${language} -std=${standard} -Wall -Wextra -pedantic -Werror -fsyntax-only
                -I${sdk}/include ${abi}/header.c)
    endforeach()
    foreach(minor 0 1)
        add_test(NAME abi_shape_1_${minor}_${compiler_name}
            COMMAND ${compiler} -std=c11 -Wall -Wextra -pedantic -Werror -fsyntax-only -I${sdk}/include
                ${sdk}/abi/shape_1_${minor}.c)
    endforeach()
endforeach()
add_test(NAME abi_diff COMMAND /usr/bin/python3 ${abi}/abi_diff.py ${CMAKE_SOURCE_DIR})
set_tests_properties(abi_diff PROPERTIES SKIP_REGULAR_EXPRESSION "^skipped: " ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    set_tests_properties(abi_diff PROPERTIES DISABLED TRUE) # the baseline is of that machine
endif()
add_executable(abi_header ${abi}/header.c)
target_link_libraries(abi_header PRIVATE circus_warnings CircusSdk::CircusSdk)
add_test(NAME abi_header_runs COMMAND abi_header)

add_test(NAME abi_exports COMMAND /usr/bin/python3 ${abi}/exports.py
    $<TARGET_FILE:ticker> $<TARGET_FILE:greeter> $<TARGET_FILE:ticker_1_0> $<TARGET_FILE:greeter_1_0>)
if(TARGET tally)
    add_test(NAME abi_exports_rust COMMAND /usr/bin/python3 ${abi}/exports.py ${CMAKE_BINARY_DIR}/tests/plugins/tally.so)
    add_test(NAME sdk_rust COMMAND ${CMAKE_BINARY_DIR}/sdk/examples/tally_test)
else()
    foreach(name abi_exports_rust sdk_rust)
        add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "skipped: no rustc was found")
        set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "^skipped: ")
    endforeach()
endif()
add_test(NAME contract_sdk_installed COMMAND /usr/bin/python3 ${abi}/installed.py ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
add_test(NAME contract_sdk_template COMMAND /usr/bin/python3 ${abi}/template.py ${CMAKE_BINARY_DIR})
add_test(NAME contract_sdk_guide COMMAND /usr/bin/python3 ${abi}/guide.py ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
set_tests_properties(contract_sdk_installed contract_sdk_template contract_sdk_guide PROPERTIES LABELS contract COST 90 TIMEOUT 300
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")

circus_test(sdk LINK CircusSdk::CircusSdk)
target_sources(sdk_test PRIVATE $<TARGET_OBJECTS:greeter_objects>)
