#include "control/man_page.hpp"

#include <string_view>

#include "base/text.hpp"
#include "control/command_line.hpp"
#include "control/command_table.hpp"

namespace circus::control {

namespace {

// Nothing of a text is taken for a request, an escape or a hyphen that may be broken.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool at_start = out.empty() || out.back() == '\n';
        if (at_start && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    return out;
}

std::string item(std::string_view term, std::string_view text) {
    return cat(".TP\n.B ", roff(term), "\n", roff(text), "\n");
}

std::string command_text(const Command& command) {
    std::string text = cat(".SS ", roff(usage(command)), "\n", roff(command.help), "\n");
    for (const auto& [left, right] : details(command)) text += item(left, right);
    return text;
}

}  // namespace

std::string man_page() {
    std::string text =
        ".TH CIRCUSCTL 1 \"\" \"circusd " CIRCUSD_VERSION
        "\"\n"
        ".SH NAME\ncircusctl \\- ask a running circusd, or tell it what to do\n"
        ".SH SYNOPSIS\n.B circusctl\n[\\fIOPTION\\fR]... [\\fICOMMAND\\fR [\\fIARGUMENT\\fR]...]\n"
        ".SH DESCRIPTION\n"
        "Without a command it is a prompt that takes commands, with completion and history, until\n"
        ".B exit\nor the end of its input. On a terminal lists are tables in colour, elsewhere plain lines.\n"
        ".SH OPTIONS\nThey may stand before or behind the command; \\-\\- ends them.\n";
    for (const Switch& option : own_switches()) text += item(written(option), option.doc);
    text += ".SH COMMANDS\n";
    for (const Command& command : commands()) text += command_text(command);
    text += ".SH COMMANDS WITHOUT A DAEMON\n";
    for (const Command& command : own_commands()) text += command_text(command);
    text += ".SH EXIT STATUS\n";
    text += item("0", "Done.");
    text += item("1", "Wrong arguments of a command, no answer, or an answer that could not be written.");
    text += item("2", "No such command or option.");
    text += item("3", "circusd answered with an error, which is on standard error.");
    text += item("255, 127", "With --ssh: ssh failed, or there is no circusctl on the other side.");
    text += ".SH ENVIRONMENT\n";
    text += item("CIRCUSCTL_ENDPOINT", "Where circusd listens, unless --endpoint says it.");
    text += item("CIRCUSCTL_SSH", "The program to run for --ssh in the place of ssh.");
    text += item("NO_COLOR", "If set and not empty: no colour.");
    text += ".SH FILES\n";
    text += item("$XDG_STATE_HOME/circus/history, ~/.local/state/circus/history", "The lines of the prompt.");
    return text;
}

}  // namespace circus::control
