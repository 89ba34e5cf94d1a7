# The autoscaler's policy in virtual time.
circus_test(autoscaler_policy LINK autoscaler_policy)
target_include_directories(autoscaler_policy_test PRIVATE ${CMAKE_SOURCE_DIR}/tests/bench)

circus_test(plugin_autoscaler LINK CircusSdk::CircusSdk autoscaler_policy)
target_sources(plugin_autoscaler_test PRIVATE $<TARGET_OBJECTS:autoscaler_objects>)
target_include_directories(plugin_autoscaler_test PRIVATE ${CMAKE_SOURCE_DIR}/tests/bench)

# A policy of one's own, the example in sdk/examples.
find_package(Threads REQUIRED)
circus_test(redis_scaler LINK CircusSdk::CircusSdk Threads::Threads)
target_sources(redis_scaler_test PRIVATE $<TARGET_OBJECTS:redis_scaler_objects>)

# Against circusd and real processes under load; the example against a real Redis, skipped where there is none.
foreach(suite autoscaler autoscaler_policy redis_scaler)
    add_test(NAME contract_${suite}
        COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/contract/test_${suite}.py)
    set_tests_properties(contract_${suite} PROPERTIES
        LABELS contract COST 100 TIMEOUT 300 SKIP_RETURN_CODE 77
        ENVIRONMENT "CIRCUS_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()

# The table of the autoscaler's README is what the simulator prints, and says of the policy what it claims.
if(TARGET autoscale_sim)
    add_test(NAME autoscale_sim COMMAND ${CIRCUS_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/bench/autoscale_table.py
        $<TARGET_FILE:autoscale_sim> ${CMAKE_SOURCE_DIR}/plugins/autoscaler/README.md)
    set_tests_properties(autoscale_sim PROPERTIES TIMEOUT 60 ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
endif()
