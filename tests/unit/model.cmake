circus_test(process_state LINK circus_model)
circus_test(backoff LINK circus_model)
circus_test(reconcile LINK circus_model)
circus_test(phase LINK circus_model)
