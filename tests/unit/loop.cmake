circus_test(loop LINK circus_loop)
circus_test(worker LINK circus_loop)
circus_test(zmq_pump LINK circus_loop)
circus_test(keeper_client LINK circus_loop)
