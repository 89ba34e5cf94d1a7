#include "bin/command_line.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/text.hpp"
#include "config/log_output.hpp"
#include "keeper/reexec.hpp"

namespace circus::bin {

namespace {

constexpr int kWrongCall = 2;

int refuse(const std::string& what) {
    std::fprintf(stderr, "circusd: %s\nSee circusd --help.\n", what.c_str());
    return kWrongCall;
}

// What nobody asked for, and what was probably meant.
std::string stranger(const CLI::App& app) {
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options())
        for (const auto& name : option->get_lnames()) known.push_back(cat("--", name));
    for (const auto& word : app.remaining()) {
        if (!word.starts_with('-')) return cat("one configuration only, not \"", word, "\" too");
        const std::string name = word.substr(0, word.find('='));
        const auto near = did_you_mean(name, known);
        return cat("no such option: ", name, near ? cat("; did you mean ", *near, "?") : "");
    }
    return "that is too much";
}

std::optional<std::string> contradiction(const CommandLine& line, bool foreground) {
    if (line.arbiter.daemon && foreground)
        return "--daemon goes into the background and --foreground stays: give one of them";
    if (line.check && (line.arbiter.daemon || foreground))
        return cat("--check only reads the configuration and starts nothing: leave out ",
                   line.arbiter.daemon ? "--daemon" : "--foreground");
    if (line.arbiter.file.empty()) return "a configuration is needed: circusd [--config] FILE";
    return std::nullopt;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
    CommandLine line;
    ArbiterOptions& given = line.arbiter;
    bool foreground = false;
    CLI::App app{"circusd: keeps a stack of processes and sockets running, as a TOML file declares it",
                 "circusd"};
    app.set_version_flag("--version", std::string("circusd ") + CIRCUSD_VERSION);
    app.add_option("config,--config,-c", given.file, "The configuration, TOML");
    app.add_flag("--check", line.check,
                 "Check the configuration, print every error or what would run, and exit");
    app.add_flag("--daemon", given.daemon,
                 "Go into the background once the stack is up: sockets and endpoints are bound then. Exits "
                 "with 1, and what runs already undisturbed, if that fails");
    app.add_flag("--foreground", foreground, "Stay in the foreground (so it does without --daemon)");
    app.add_option("--pidfile", given.pidfile, "Write the daemon's pid there, in place of [circus] pidfile");
    app.add_option("--log-level", given.loglevel, "In place of [circus] loglevel")
        ->transform(CLI::IsMember({"debug", "info", "warning", "error", "critical"}, CLI::ignore_case));
    app.add_option("--log-output", given.logoutput,
                   "In place of [circus] logoutput: a file, - for stderr, or "
                   "syslog://HOST:PORT?FACILITY or syslog:///dev/log?FACILITY");
    app.add_flag("--arbiter", line.is_arbiter)->group("");
    app.add_option("--resume", line.resume)->group("");
    std::uint32_t asked_version = 0;
    app.add_option("--resumes", asked_version)->group("");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // --help, --version
        line.exit_code = app.exit(asked);
        return line;
    } catch (const CLI::ExtrasError&) {
        line.exit_code = refuse(stranger(app));
        return line;
    } catch (const CLI::ParseError& problem) {
        line.exit_code = refuse(problem.what());
        return line;
    }
    if (app.count("--resumes") > 0) {
        line.exit_code = keeper::is_known_state(asked_version) ? 0 : 1;
        return line;
    }
    for (const char* option : {"--config", "--pidfile", "--log-level", "--log-output"})
        if (app.count(option) > 0 && app.get_option(option)->as<std::string>().empty()) {
            line.exit_code = refuse(cat(option, " is empty: give it a value, or leave it out"));
            return line;
        }
    if (const auto problem = contradiction(line, foreground)) {
        line.exit_code = refuse(*problem);
        return line;
    }
    if (const auto output = config::parse_log_output(given.logoutput); !output)
        line.exit_code = refuse(cat("--log-output ", given.logoutput, " ", output.error().text));
    return line;
}

}  // namespace circus::bin
