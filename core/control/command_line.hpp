// circusctl's command line, read by the command table. circusctl's own options may stand before or behind the
// command; a word "--" ends all options.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "control/command_table.hpp"
#include "control/look.hpp"

namespace circus::control {

// Exit codes of circusctl, which are also the codes of the errors here.
enum class Exit : int {
    Ok = 0,
    Failed = 1,  // wrong arguments of a command, no answer
    Usage = 2,   // no such command or option
    Refused = 3  // circusd answered with an error
};

struct Invocation {
    // Offered: a command that is not in the table; perhaps a plugin of the daemon has it.
    enum class What { Nothing, Call, Offered, Help, Version } what = What::Nothing;
    std::string endpoint;   // empty: not given
    std::string curve;      // the key file; empty: not given
    double timeout = 5;     // seconds
    bool json = false;      // the answer as it came
    bool prettify = false;  // the answer, indented
    ColourWhen colour = ColourWhen::Auto;
    std::string ssh;  // run there; empty: here
    std::string ssh_keyfile;
    std::vector<std::string> forwarded;  // with ssh: all arguments but ssh's own
    const Command* command = nullptr;    // Help: of this one, or null
    std::string offered;                 // Offered, Help: its name as it was written, else empty
    std::vector<std::string> words;      // behind the command
    std::vector<std::pair<Switch, std::string>> switches;
    std::vector<std::string> offered_switches;  // Offered: each as it was written, --NAME or --NAME=VALUE
};

// circusctl's own switches, which stand before or behind the command.
std::span<const Switch> own_switches();
// `own`: what holds where the arguments say nothing else, as in the shell.
Result<Invocation> parse_command_line(const std::vector<std::string>& arguments, const Invocation& own = {});
// For a command that neither the table nor the daemon has; `why` may be empty.
Error unknown_command(const std::string& name, std::string_view why = {});
// The properties to send for a Call.
Result<Json> properties_of(const Invocation& invocation);
std::string overview();  // circusctl --help

}  // namespace circus::control
