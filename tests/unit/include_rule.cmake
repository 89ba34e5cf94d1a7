set(include_rule ${CMAKE_CURRENT_SOURCE_DIR}/include_rule/include_rule.py)
add_test(NAME include_rule COMMAND /usr/bin/python3 ${include_rule} ${CMAKE_SOURCE_DIR})
add_test(NAME include_rule_catches_violations COMMAND /usr/bin/python3 ${include_rule} --self-test)
set_tests_properties(include_rule include_rule_catches_violations PROPERTIES TIMEOUT 60)
