# The plugins on the fake host: each test is a program of its own, because each plugin exports the same symbol.
foreach(plugin flapping resource_watcher watchdog command_reloader statsd full_stats)
    circus_test(plugin_${plugin} LINK CircusSdk::CircusSdk)
    target_sources(plugin_${plugin}_test PRIVATE $<TARGET_OBJECTS:${plugin}_objects>)
endforeach()
foreach(plugin watchdog command_reloader)
    target_include_directories(plugin_${plugin}_test PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
endforeach()

# Against circusd and real processes, in both modes.
add_test(NAME contract_shipped_plugins
    COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_shipped_plugins.py)
set_tests_properties(contract_shipped_plugins PROPERTIES
    LABELS contract COST 100 TIMEOUT 300
    ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
