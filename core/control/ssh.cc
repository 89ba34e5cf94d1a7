#include "control/ssh.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "base/text.hpp"
#include "control/output.hpp"

namespace circus::control {

namespace {

constexpr std::string_view kSafe = "%+,-./:=@_";

// HOST:PORT as Circus takes it. ssh takes the port by itself only in ssh://HOST:PORT; a colon of an IPv6
// address is not alone.
std::pair<std::string, std::optional<std::string>> split_port(const std::string& host) {
    const std::size_t colon = host.rfind(':');
    if (colon == std::string::npos || host.find(':') != colon || host.find('/') != std::string::npos)
        return {host, std::nullopt};
    return {host.substr(0, colon), host.substr(colon + 1)};
}

}  // namespace

std::string quoted_for_shell(const std::string& word) {
    if (word.empty()) return "''";
    const bool plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || kSafe.find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (plain) return word;
    // Single quotes protect all but themselves, and in fish the backslash: both stand outside of them.
    std::string out;
    bool inside = false;
    for (const char c : word) {
        const bool escape = c == '\'' || c == '\\';
        if (inside == escape) out += '\'';
        inside = !escape;
        if (escape) out += '\\';
        out += c;
    }
    return inside ? out + "'" : out;
}

Result<std::vector<std::string>> ssh_command(const Invocation& invocation, const std::string& program,
                                             const Look& look, bool prompt) {
    const auto [host, port] = split_port(invocation.ssh);
    if (host.empty() || host[0] == '-' || (port && !parse_int(*port)))
        return Error{cat("option --ssh: not a host: ", py_repr(invocation.ssh)),
                     static_cast<int>(Exit::Usage)};
    std::vector<std::string> words = {program};
    // A command reads nothing, and must not eat what a script around it reads.
    if (invocation.what != Invocation::What::Nothing) words.emplace_back("-n");
    words.emplace_back(prompt ? "-t" : "-T");
    if (port) words.insert(words.end(), {"-p", *port});
    if (!invocation.ssh_keyfile.empty()) words.insert(words.end(), {"-i", invocation.ssh_keyfile});
    words.insert(words.end(), {"--", host});
    std::string remote = "circusctl";
    // Only here it is known what the output is for.
    if (invocation.colour == ColourWhen::Auto && !prompt && look.colour) remote += " --color=always";
    if (invocation.colour == ColourWhen::Auto && prompt && !look.colour) remote += " --color=never";
    for (const auto& word : invocation.forwarded) remote += " " + quoted_for_shell(word);
    words.push_back(std::move(remote));
    return words;
}

int run_by_ssh(const Invocation& invocation) {
    const char* given = std::getenv("CIRCUSCTL_SSH");
    const std::string program = given && *given ? given : "ssh";
    const bool prompt =
        invocation.what == Invocation::What::Nothing && ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO);
    auto words =
        ssh_command(invocation, program, look_of(invocation.colour, surroundings_of(STDOUT_FILENO)), prompt);
    if (!words) return complain(words.error());
    std::vector<char*> argv;
    for (auto& word : *words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    return complain(cat("circusctl: cannot run ", program, ": ", std::string_view(std::strerror(errno))),
                    Exit::Failed);
}

}  // namespace circus::control
