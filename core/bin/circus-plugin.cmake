add_executable(circus-plugin circus_plugin_main.cc)
target_link_libraries(circus-plugin PRIVATE circus_flags circus_plugin)
# The catalog runs it beside circusd.
add_dependencies(circusd circus-plugin)
# Plugins are found from where these are (core/plugin/catalog.cc).
install(TARGETS circusd circusctl circus-plugin RUNTIME DESTINATION bin COMPONENT circusd)
