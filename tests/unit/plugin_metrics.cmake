# The metrics: the page over answers of the test's own, and the whole plugin on the fake host.
foreach(test plugin_metrics plugin_metrics_server)
    circus_test(${test} LINK CircusSdk::CircusSdk PkgConfig::PROMETHEUS Threads::Threads)
    target_sources(${test}_test PRIVATE $<TARGET_OBJECTS:metrics_objects>)
    target_include_directories(${test}_test PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
endforeach()

# Against circusd, in both modes, and scraped by Prometheus (configs/packages.sh test).
add_test(NAME contract_metrics
    COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_metrics.py)
set_tests_properties(contract_metrics PROPERTIES
    LABELS contract COST 100 TIMEOUT 300
    ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
