#include <cstdio>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "control/asking.hpp"
#include "top/top.hpp"

int main(int argc, char** argv) {
    circus::top::Options options;
    std::string endpoint, curve;
    CLI::App app{
        "circus-top: what runs in a stack and how loaded it is, live, of a circusd or a Circus in Python.\n"
        "Keys: arrows select, s sorts, / filters, t shows processes, + and - change a watcher's count,\n"
        "r restarts it, R reloads it, k stops a process, l follows a log, h helps, q quits.",
        "circus-top"};
    app.set_version_flag("--version", std::string("circus-top ") + CIRCUSD_VERSION);
    app.add_option("--endpoint", endpoint,
                   "Where circusd is asked; else $CIRCUSCTL_ENDPOINT, else circusctl's default");
    app.add_option("--curve", curve,
                   "The key file for a tcp endpoint that wants CURVE; else $CIRCUSCTL_CURVE");
    app.add_option("--timeout", options.timeout, "Seconds that an answer may take (5)")
        ->check(CLI::Range(0.1, 3600.0));
    app.add_flag("--once", options.once, "Print the table once and exit");
    app.add_flag("--json", options.json, "One JSON object each round, for scripts; with --once: one");
    app.add_option("--sort", options.sort, "name, cpu, memory, age or processes");
    app.add_option("--filter", options.filter, "Only watchers whose names hold this");
    bool watchers_only = false;
    app.add_flag("--watchers", watchers_only, "Without a line for each process");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    options.by_processes = !watchers_only;
    circus::control::Invocation invocation;
    invocation.endpoint = endpoint;
    invocation.curve = curve;
    options.endpoint = circus::control::endpoint_of(invocation);
    auto keys = circus::control::keys_of(invocation);
    if (!keys) {
        std::fprintf(stderr, "circus-top: %s\n", keys.error().text.c_str());
        return 1;
    }
    options.keys = std::move(*keys);
    return circus::top::run_top(options);
}
