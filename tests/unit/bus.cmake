circus_test(bus LINK circus_bus)
