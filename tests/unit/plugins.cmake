# The plugins on the fake host: each test is a program of its own, because each plugin exports the same symbol.
foreach(plugin flapping resource_watcher watchdog command_reloader statsd full_stats)
    circus_test(plugin_${plugin} LINK CircusSdk::CircusSdk)
    target_sources(plugin_${plugin}_test PRIVATE $<TARGET_OBJECTS:${plugin}_objects>)
endforeach()
foreach(plugin watchdog command_reloader)
    target_include_directories(plugin_${plugin}_test PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
endforeach()

# Against circusd and real processes, in both modes.
foreach(suite shipped_plugins plugin_streams hook_libraries)
    add_test(NAME contract_${suite}
        COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES
        LABELS contract COST 100 TIMEOUT 300
        ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()
