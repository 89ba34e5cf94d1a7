# circusctl convert on examples of every format; what comes out, and every snippet of docs/migration.md, is checked,
# and some of it run.
add_test(NAME convert_examples
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/convert/test_convert.py)
set_tests_properties(convert_examples PROPERTIES TIMEOUT 300)
foreach(suite convert docs)
    add_test(NAME contract_${suite}
        COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES LABELS contract TIMEOUT 900)
endforeach()
set_property(TEST convert_examples contract_convert contract_docs PROPERTY
    ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
