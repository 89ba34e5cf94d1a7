// A circusd to upgrade to: the product's command line and keeper, which any configuration suits, and an
// arbiter that ends at once or, where the program's name says so, hangs.
#include <limits.h>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include "bin/command_line.hpp"
#include "keeper/keeper.hpp"

namespace {

int run_arbiter() {
    char path[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    const std::string_view name(path, size > 0 ? static_cast<std::size_t>(size) : 0);
    while (name.ends_with("-hangs")) pause();
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    const circus::bin::CommandLine line = circus::bin::parse_command_line(argc, argv);
    if (line.exit_code) return *line.exit_code;
    if (line.check) return 0;
    if (line.is_arbiter) return run_arbiter();
    if (line.resume < 0) return 2;
    std::vector<char*> own(argv, argv + argc - 1);  // the last word is the keeper's before
    circus::keeper::KeeperOptions options;
    options.arbiter_argv = {"circusd: arbiter", "--arbiter"};
    options.arbiter_argv.insert(options.arbiter_argv.end(), own.begin() + 1, own.end());
    own.push_back(nullptr);
    options.argv = own.data();
    options.resume = line.resume;
    return circus::keeper::run_keeper(std::move(options));
}
