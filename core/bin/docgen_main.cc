// circus-docgen [--check] FILE...: writes what the tables say into the manual's pages. With --check nothing
// is written, and a page that is stale, or a table that no page has, is an error. With --man it prints the
// manual page of circusctl. Not installed.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "control/man_page.hpp"
#include "control/manual.hpp"

namespace {

int complain(const std::string& file, const std::string& text) {
    std::fprintf(stderr, "%s: %s\n", file.c_str(), text.c_str());
    return 1;
}

// The number of things that are wrong with one page; adds its parts to `parts`.
int treat(const std::string& file, bool check, std::vector<std::string>& parts) {
    std::ifstream in(file, std::ios::binary);
    const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in) return complain(file, "cannot be read");
    for (auto& part : circus::control::parts_of(page)) parts.push_back(std::move(part));
    const auto filled = circus::control::fill_manual(page);
    if (!filled) return complain(file, filled.error().text);
    if (*filled == page) return 0;
    if (check)
        return complain(file,
                        "is not what the option and command tables say. Run\n\n"
                        "    cmake --build build --target docs\n\nand commit the result.");
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << *filled;
    out.close();
    return out ? 0 : complain(file, "cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--man") == 0) {
        std::fputs(circus::control::man_page().c_str(), stdout);
        return std::fflush(stdout) == 0 ? 0 : 1;
    }
    const bool check = argc > 1 && std::strcmp(argv[1], "--check") == 0;
    const std::vector<std::string> files(argv + (check ? 2 : 1), argv + argc);
    if (files.empty()) {
        std::fputs("Usage: circus-docgen [--check] FILE...\n", stderr);
        return 2;
    }
    int wrong = 0;
    std::vector<std::string> parts;
    for (const auto& file : files) wrong += treat(file, check, parts);
    for (const auto part : circus::control::manual_parts())
        if (std::count(parts.begin(), parts.end(), part) != 1)
            wrong += complain(std::string(part), "must have a place in one of the files");
    return wrong == 0 ? 0 : 1;
}
