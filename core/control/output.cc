#include "control/output.hpp"

#include <cerrno>
#include <cstdio>

#include "base/text.hpp"

namespace circus::control {

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void say(const std::string& line) {
    print(line + "\n");
}

int complain(const std::string& text, Exit exit) {
    std::fflush(stdout);  // both may be the same terminal
    std::fprintf(stderr, "%s\n", text.c_str());
    return static_cast<int>(exit);
}

int complain(const Error& error) {
    return complain(cat("circusctl: ", error.text), static_cast<Exit>(error.code));
}

int finish(int exit) {
    const bool failed_before = std::ferror(stdout) != 0;
    if (std::fflush(stdout) == 0 && !failed_before) return exit;
    if (errno == EPIPE) return exit;
    return complain("circusctl: standard output cannot be written", Exit::Failed);
}

}  // namespace circus::control
