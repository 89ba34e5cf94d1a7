# What the tests let the keeper start: a program that reports what it was given, or misbehaves to order.
add_executable(keeper_probe unit/keeper_probe.cc)
target_link_libraries(keeper_probe PRIVATE circus_flags circus_keeper)

circus_test(keeper_plan LINK circus_keeper)
circus_test(keeper_table LINK circus_keeper)
foreach(name keeper_tree keeper_spawn keeper_signal keeper_sweep keeper_stop keeper_succession)
    circus_test(${name} LINK circus_keeper)
    target_compile_definitions(${name}_test PRIVATE KEEPER_PROBE="$<TARGET_FILE:keeper_probe>")
    add_dependencies(${name}_test keeper_probe)
endforeach()
