#include "sys/signals.hpp"

#include <csignal>

#include "base/text.hpp"

namespace circus::sys {
namespace {

struct Row {
    int signo;
    std::string_view name;  // lower case, without "sig"
};

// Of several names for one number the first is the one that is shown.
constexpr Row kSignals[] = {
    {SIGHUP, "hup"},   {SIGINT, "int"},       {SIGQUIT, "quit"}, {SIGILL, "ill"},       {SIGTRAP, "trap"},
    {SIGABRT, "abrt"}, {SIGABRT, "iot"},      {SIGBUS, "bus"},   {SIGFPE, "fpe"},       {SIGKILL, "kill"},
    {SIGUSR1, "usr1"}, {SIGSEGV, "segv"},     {SIGUSR2, "usr2"}, {SIGPIPE, "pipe"},     {SIGALRM, "alrm"},
    {SIGTERM, "term"}, {SIGSTKFLT, "stkflt"}, {SIGCHLD, "chld"}, {SIGCHLD, "cld"},      {SIGCONT, "cont"},
    {SIGSTOP, "stop"}, {SIGTSTP, "tstp"},     {SIGTTIN, "ttin"}, {SIGTTOU, "ttou"},     {SIGURG, "urg"},
    {SIGXCPU, "xcpu"}, {SIGXFSZ, "xfsz"},     {SIGPROF, "prof"}, {SIGVTALRM, "vtalrm"}, {SIGWINCH, "winch"},
    {SIGIO, "io"},     {SIGPOLL, "poll"},     {SIGPWR, "pwr"},   {SIGSYS, "sys"},
};

std::optional<int> parse_realtime(std::string_view name) {
    const bool from_min = name.starts_with("rtmin");
    if (!from_min && !name.starts_with("rtmax")) return std::nullopt;
    const int base = from_min ? SIGRTMIN : SIGRTMAX;
    const std::string_view offset_text = name.substr(5);
    if (offset_text.empty()) return base;
    if (offset_text.front() != (from_min ? '+' : '-')) return std::nullopt;
    const auto offset = parse_int(offset_text.substr(1));
    if (!offset || *offset < 0 || *offset > SIGRTMAX - SIGRTMIN) return std::nullopt;
    return from_min ? base + static_cast<int>(*offset) : base - static_cast<int>(*offset);
}

}  // namespace

std::optional<int> parse_signal(std::string_view text) {
    const std::string lowered = to_lower(trim(text));
    std::string_view name = lowered;
    if (const auto number = parse_int(name))
        return is_signal(*number) ? std::optional(static_cast<int>(*number)) : std::nullopt;
    if (name.starts_with("sig")) name.remove_prefix(3);
    for (const Row& row : kSignals)
        if (row.name == name) return row.signo;
    return parse_realtime(name);
}

bool is_signal(long long number) {
    return number >= 1 && number <= SIGRTMAX;
}

std::string signal_name(int signo) {
    for (const Row& row : kSignals) {
        if (row.signo != signo) continue;
        std::string name = "SIG";
        for (const char c : row.name) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        return name;
    }
    if (signo == SIGRTMIN) return "SIGRTMIN";
    if (signo == SIGRTMAX) return "SIGRTMAX";
    if (signo > SIGRTMIN && signo < SIGRTMAX) return cat("SIGRTMIN+", signo - SIGRTMIN);
    return std::to_string(signo);
}

}  // namespace circus::sys
