# The observers on the fake host, each against a server of the test's on loopback.
foreach(plugin http_observer redis_observer)
    circus_test(plugin_${plugin} LINK CircusSdk::CircusSdk ${CMAKE_DL_LIBS})
    target_sources(plugin_${plugin}_test PRIVATE $<TARGET_OBJECTS:${plugin}_objects>)
    target_include_directories(plugin_${plugin}_test PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
endforeach()
target_link_libraries(plugin_http_observer_test PRIVATE PkgConfig::libcurl)
target_link_libraries(plugin_redis_observer_test PRIVATE PkgConfig::hiredis)
# hiredis asks for a _FILE_OFFSET_BITS that the compiled headers were not made with.
set_target_properties(plugin_redis_observer_test PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
