circus_test(top LINK circus_top)
