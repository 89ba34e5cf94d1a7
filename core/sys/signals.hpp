// Names and numbers of signals.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace circus::sys {

// "TERM", "sigterm", "15", "SIGRTMIN+1", "rtmax-2", in any case, with or without SIG; nullopt: no such
// signal.
std::optional<int> parse_signal(std::string_view text);
bool is_signal(long long number);    // 1..SIGRTMAX
std::string signal_name(int signo);  // 15 -> "SIGTERM", 35 -> "SIGRTMIN+1", the number where it has no name

}  // namespace circus::sys
