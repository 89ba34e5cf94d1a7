circus_test(config_bad LINK circus_config)
target_compile_definitions(config_bad_test PRIVATE
    CIRCUS_BAD_CONFIGS="${CMAKE_CURRENT_SOURCE_DIR}/config/bad")
circus_test(config_diff LINK circus_config)
circus_test(config_load LINK circus_config)
circus_test(config_options LINK circus_config)
circus_test(config_substitute LINK circus_config)
circus_test(config_saved LINK circus_config)
circus_test(curve_files LINK circus_config)
