// circus-plugin: a process that may break. It looks at a library (--describe), or is the host of a plugin
// that is not to run in circusd (--isolated NAME, started by circusd).
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "plugin/description.hpp"
#include "plugin/frames.hpp"
#include "plugin/host_table.hpp"
#include "plugin/isolated_process.hpp"
#include "plugin/loader.hpp"

namespace {

using namespace circus;

constexpr unsigned kLongestLife = 30;  // seconds; who asks has a shorter deadline of its own

Result<plugin::Description> describe(const std::string& file) {
    const auto library = plugin::Library::open(file);
    if (!library) return library.error();
    const auto table = plugin::plugin_table(*library);
    if (!table) return table.error();
    return plugin::read_description(**table, plugin::offered_extensions());
}

// One line of JSON: the description, or {"error": …}. What the library itself prints goes to stderr.
int print_description(const std::string& file) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::alarm(kLongestLife);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    const int answer = ::dup(STDOUT_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    const auto description = describe(file);
    const Json json = description ? plugin::to_json(*description) : Json{{"error", description.error().text}};
    const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    std::FILE* const out = ::fdopen(answer, "w");
    if (!out || std::fwrite(line.data(), 1, line.size(), out) != line.size() || std::fflush(out) != 0)
        return 1;
    // Not by exit(): the library's destructors are not asked.
    ::_exit(description ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == "--describe") return print_description(argv[2]);
    if (argc == 3 && std::string_view(argv[1]) == "--isolated") {
        const char* const endpoint = std::getenv(plugin::kEndpointVariable);
        const char* const token = std::getenv(plugin::kTokenVariable);
        if (!endpoint || !token) {
            std::fputs("circus-plugin: --isolated is for circusd to run\n", stderr);
            return 2;
        }
        return plugin::run_isolated(endpoint, token);
    }
    if (argc == 2 && std::string_view(argv[1]) == "--version") {
        std::puts("circus-plugin " CIRCUSD_VERSION);
        return 0;
    }
    std::fputs(
        "Usage: circus-plugin --describe FILE | --version\n"
        "Says what a plugin's library is, as JSON. circusd runs it.\n",
        stderr);
    return 2;
}
