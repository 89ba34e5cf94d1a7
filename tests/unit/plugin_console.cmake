# The console: its own code over a fake backend, and the server on the fake host.
foreach(test plugin_console plugin_console_links plugin_console_routes plugin_console_server)
    circus_test(${test} LINK CircusSdk::CircusSdk PkgConfig::CRYPTO PkgConfig::CONSOLE_ZMQ Threads::Threads)
    target_sources(${test}_test PRIVATE $<TARGET_OBJECTS:console_objects>)
    target_include_directories(${test}_test PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
endforeach()

# Against circusd, in both modes; and behind nginx, as configs/ has it.
foreach(suite console nginx)
    add_test(NAME contract_${suite}
        COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES
        LABELS contract COST 100 TIMEOUT 300
        ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()

# The page in a real Chromium (configs/packages.sh browser); skipped, with the reason, where that, node or npm is missing.
# playwright-core, which drives it, is fetched by npm into the folder of the build when the first of them runs. Chromium works
# where the other tests wait: one of these has the places of four.
foreach(suite console_page console_visit)
    add_test(NAME contract_${suite}
        COMMAND ${CIRCUS_PYTHON} ${CMAKE_SOURCE_DIR}/tests/browser/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES
        LABELS contract COST 100 PROCESSORS 4 TIMEOUT 900 SKIP_RETURN_CODE 77
        ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()
