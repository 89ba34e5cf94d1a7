// circusd: the command line, then one of three things: --check, the keeper, or (started by the keeper) the
// arbiter.
#include <bsd/unistd.h>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

#include "bin/arbiter_main.hpp"
#include "bin/command_line.hpp"
#include "bin/daemonize.hpp"
#include "config/load.hpp"
#include "keeper/keeper.hpp"
#include "plugin/catalog.hpp"

namespace {

constexpr const char* kArbiter = "circusd: arbiter";

// What ps shows: as it would, had the arbiter been started by its command line.
void name_arbiter(int argc, char** argv) {
    std::string title = kArbiter;
    for (int i = 1; i < argc; ++i) (title += ' ') += argv[i];
    setproctitle_init(argc, argv, environ);
    setproctitle("-%s", title.c_str());
}

int check(const std::string& file) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry; ++entry) environment.emplace_back(*entry);
    const auto catalog = circus::plugin::Catalog::of_this_program();
    const circus::config::Loaded loaded = circus::config::load(file, environment, false, &catalog);
    for (const auto& warning : loaded.warnings)
        std::fprintf(stderr, "%s (warning)\n", warning.to_string().c_str());
    for (const auto& error : loaded.errors) std::fprintf(stderr, "%s\n", error.to_string().c_str());
    for (const auto& broken : loaded.broken_plugins) std::fprintf(stderr, "%s\n", broken.to_string().c_str());
    if (!loaded.errors.empty() || !loaded.broken_plugins.empty()) return 1;
    std::fputs(circus::config::summary(loaded.config).c_str(), stdout);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    // Returned from a function of its own: the keeper keeps nothing of the parser.
    const circus::bin::CommandLine line = circus::bin::parse_command_line(argc, argv);
    if (line.exit_code) return *line.exit_code;
    if (line.is_arbiter) return circus::bin::run_arbiter(line.arbiter);
    if (line.check) return check(line.arbiter.file);

    circus::keeper::KeeperOptions options;
    options.first_arbiter = [&] {
        name_arbiter(argc, argv);
        return circus::bin::run_arbiter(line.arbiter);
    };
    options.arbiter_argv = {kArbiter, "--arbiter"};
    // A binary that took the place of another one was told so in its last word.
    std::vector<char*> own(argv, argv + argc - (line.resume >= 0 ? 1 : 0));
    options.arbiter_argv.insert(options.arbiter_argv.end(), own.begin() + 1, own.end());
    own.push_back(nullptr);
    options.argv = own.data();
    options.resume = line.resume;
    if (line.arbiter.daemon && line.resume < 0)
        if (const auto code = circus::bin::daemonize(options.ready)) return *code;
    return circus::keeper::run_keeper(std::move(options));
}
