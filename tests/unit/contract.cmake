# The programs from outside. Everything here is a program of its own: no library of core is linked, so that what
# is tested is what is installed (but in the broken binaries of tests/upgrade).
add_subdirectory(bench)
add_subdirectory(probe)
add_subdirectory(upgrade)

# pyzmq is Debian's (python3-zmq), so the interpreter is Debian's too, whatever else is first in PATH.
find_program(CIRCUS_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
foreach(suite harness invariants daemon log endpoint access curve messages commands lifecycle wrong_types sequences
        events options environment stop_command hooks sockets steering lossless demand ready reload deaths depends
        limits streams stream_classes faults takeover hangs upgrade pid1 reloadconfig restart circusctl terminal check
        stack quickstart full_stack wsgi_bench supervision_bench plugins observers top
        instance systemd bounded)
    add_test(NAME contract_${suite}
        COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES
        LABELS contract TIMEOUT 300
        ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()

# They start whole stacks, again and again.
set_tests_properties(contract_full_stack contract_wsgi_bench PROPERTIES TIMEOUT 600)

# The longest first: what runs beside them fills the rest.
set_tests_properties(contract_full_stack contract_wsgi_bench contract_bounded contract_plugins contract_faults contract_log contract_observers PROPERTIES COST 100)

# Circus's own tools and daemon, where CIRCUS_SRC names a checkout of Circus when ctest runs; skipped elsewhere.
foreach(suite circus_clients circus_daemon)
    add_test(NAME contract_${suite}
        COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES
        LABELS contract TIMEOUT 600 SKIP_RETURN_CODE 77
        ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()

# Random faults under load: a short run of what anyone can run longer.
add_test(NAME contract_random_faults
    COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/faults/run --faults 40)
set_tests_properties(contract_random_faults PROPERTIES
    LABELS contract TIMEOUT 300 COST 100
    ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
