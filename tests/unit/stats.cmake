circus_test(process_object LINK circus_stats)
