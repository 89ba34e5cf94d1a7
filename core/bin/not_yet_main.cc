// A binary whose feature this version does not have: it says so, and fails as a wrong call does.
#include <cstdio>

int main() {
    std::fprintf(stderr, "%s: this version of circusd (%s) has nothing for %s to do yet\n", NOT_YET_NAME,
                 CIRCUSD_VERSION, NOT_YET_NAME);
    return 2;
}
