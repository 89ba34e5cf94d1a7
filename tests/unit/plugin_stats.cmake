circus_test(plugin_stats LINK CircusSdk::CircusSdk PkgConfig::ZMQ)
target_sources(plugin_stats_test PRIVATE $<TARGET_OBJECTS:stats_objects>)
target_include_directories(plugin_stats_test PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
circus_test(socket_figures LINK circus_stats)
