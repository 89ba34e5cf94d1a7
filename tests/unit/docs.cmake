add_test(NAME docs_are_what_the_tables_say COMMAND circus-docgen --check
    ${CMAKE_SOURCE_DIR}/docs/config.md ${CMAKE_SOURCE_DIR}/docs/commands.md)
set_tests_properties(docs_are_what_the_tables_say PROPERTIES TIMEOUT 60)
