/* A shared library that is no plugin. */
int circus_tests_nothing(void);
__attribute__((visibility("default"))) int circus_tests_nothing(void) {
    return 0;
}
