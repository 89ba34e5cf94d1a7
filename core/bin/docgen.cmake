add_executable(circus-docgen docgen_main.cc)
target_link_libraries(circus-docgen PRIVATE circus_control_client)
set(CIRCUS_MANUAL ${CMAKE_SOURCE_DIR}/docs/config.md ${CMAKE_SOURCE_DIR}/docs/commands.md)
add_custom_target(docs COMMAND circus-docgen ${CIRCUS_MANUAL} VERBATIM
    COMMENT "Writing docs/config.md and docs/commands.md from the tables")

add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/circusctl.1
    COMMAND circus-docgen --man > ${CMAKE_BINARY_DIR}/circusctl.1
    DEPENDS circus-docgen COMMENT "Writing circusctl(1)" VERBATIM)
add_custom_target(man ALL DEPENDS ${CMAKE_BINARY_DIR}/circusctl.1)
install(FILES ${CMAKE_BINARY_DIR}/circusctl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
