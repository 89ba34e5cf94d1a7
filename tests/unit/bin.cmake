# Parts of core/bin that can be tested without the program around them.
circus_test(plugin_deaths LINK circus_base)
circus_test(log_target
    SOURCES ${PROJECT_SOURCE_DIR}/core/bin/log_target.cc ${PROJECT_SOURCE_DIR}/core/bin/syslog_target.cc
    LINK circus_stream circus_config)
