// A Procfile: lines of "name: command", each run by a shell, with foreman's habits: .env beside it, PORT 5000
// for the first line and 100 more for each after it, SIGTERM and five seconds.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/text.hpp"
#include "convert/readers.hpp"
#include "convert/values.hpp"

namespace circus::convert {
namespace {

constexpr long long kFirstPort = 5000;
constexpr long long kPortStep = 100;
constexpr long long kStopWait = 5;

bool is_word(std::string_view text, bool dashes) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [dashes](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               (dashes && c == '-');
    });
}

// 'as it is', "with \n and \" in it", or a plain word.
std::string unquoted(std::string_view value) {
    if (value.size() < 2 || value.front() != value.back() || (value[0] != '"' && value[0] != '\''))
        return std::string(value);
    const bool escapes = value[0] == '"';
    value = value.substr(1, value.size() - 2);
    std::string out;
    for (size_t i = 0; i < value.size(); ++i) {
        if (!escapes || value[i] != '\\' || i + 1 == value.size())
            out += value[i];
        else
            out += value[++i] == 'n' ? '\n' : value[i];
    }
    return out;
}

class ProcfileReader {
  public:
    ProcfileReader(const std::string& file, Stack& stack) : file_(file), stack_(stack) {}

    void run(std::string_view text) {
        stack_.note(
            "foreman ran these commands in the Procfile's directory: start circusd there, or give each "
            "watcher "
            "a working_dir. It also stopped everything when one process ended; circusd replaces the "
            "process.");
        read_environment();
        int number = 0;
        for (const auto& line : split(text, '\n')) read_line(trim(line), {file_, ++number});
        if (count_ == 0 && stack_.problems.empty()) stack_.problem({file_, 0}, "no \"name: command\" in it");
    }

  private:
    void read_environment() {
        const std::string file = beside(file_, ".env");
        std::error_code ignored;
        if (!std::filesystem::exists(file, ignored)) return;
        const auto text = read_source(file);
        if (!text) return stack_.problem({file, 0}, text.error().text);
        int number = 0;
        for (const auto& line : split(*text, '\n')) read_variable(trim(line), {file, ++number});
    }

    void read_variable(std::string_view line, const Place& at) {
        if (line.empty() || line.front() == '#') return;
        if (line.starts_with("export ")) line = trim(line.substr(7));
        const size_t sign = line.find('=');
        if (sign == std::string_view::npos || !is_word(line.substr(0, sign), false))
            return stack_.problem(at, cat("not NAME=value: ", line));
        const std::string name(line.substr(0, sign));
        const std::string value = unquoted(line.substr(sign + 1));
        if (name != "PORT") return set_literal_variable(stack_.env(at), name, value, at);
        const auto port = parse_int(value);
        if (!port || *port < 1 || *port > 65535) return stack_.problem(at, cat("PORT is no port: ", value));
        first_port_ = *port;
    }

    void read_line(std::string_view line, const Place& at) {
        if (line.empty() || line.front() == '#') return;
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_word(line.substr(0, colon), true))
            return stack_.problem(at, cat("not \"name: command\": ", line));
        const std::string name(line.substr(0, colon));
        const std::string command(trim(line.substr(colon + 1)));
        Section& watcher = stack_.add("watcher", name, at, cat(name, ":"));
        watcher.set("cmd", command, at);
        watcher.set("shell", true, at);
        watcher.set("copy_env", true, at);
        watcher.set("graceful_timeout", kStopWait, at);
        watcher.set("stop_children", true, at);
        const long long port = first_port_ + kPortStep * count_++;
        watcher.set("env.PORT", std::to_string(port), at);
        if (command.find("PORT") != std::string::npos)
            watcher.remark(at, "PORT",
                           "the same for all processes of this watcher, where foreman counted on: before "
                           "numprocesses = 2, have them share a [socket.NAME] by use_sockets, or write "
                           "$(circus.wid) into the port");
        if (name == "release") {
            watcher.remark(at, "release",
                           "run once before a deployment, so it is not started with the others: "
                           "circusctl start release");
            watcher.set("autostart", false, at);
            watcher.set("respawn", false, at);
        }
    }

    const std::string file_;
    Stack& stack_;
    long long first_port_ = kFirstPort;
    long long count_ = 0;
};

}  // namespace

void read_procfile(const std::string& file, std::string_view text, Stack& stack) {
    ProcfileReader(file, stack).run(text);
}

}  // namespace circus::convert
