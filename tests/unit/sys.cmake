circus_test(signals LINK circus_sys)
circus_test(identity LINK circus_sys)
circus_test(listen LINK circus_sys)
circus_test(procfs LINK circus_sys)
