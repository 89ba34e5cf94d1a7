// Values as people write them into a configuration, and as circusd shows them: bytes ("10M"), signals
// ("SIGTERM", "term", 15), seconds (0.5). For plugins in C++; nothing here calls the host.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <strings.h>

#include <nlohmann/json.hpp>

namespace circus {

// "512", "10M", "1.46G", "10MB", "1023B": units of 1024, no case. Of a number: that number. Nothing: neither.
inline std::optional<double> bytes_of(std::string_view text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, number);
    if (wrong != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
    std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    if (unit.ends_with('B') || unit.ends_with('b')) unit.remove_suffix(1);
    if (unit.empty()) return number;
    constexpr std::string_view kUnits = "KMGTPE";
    const auto power = unit.size() == 1 ? kUnits.find(static_cast<char>(unit[0] & ~0x20)) : kUnits.npos;
    if (power == kUnits.npos) return std::nullopt;
    return std::ldexp(number, 10 * (static_cast<int>(power) + 1));
}
inline std::optional<double> bytes_of(const nlohmann::json& value) {
    if (value.is_number() && value.get<double>() >= 0) return value.get<double>();
    return value.is_string() ? bytes_of(std::string_view(value.get_ref<const std::string&>())) : std::nullopt;
}

// 15, "15", "TERM", "SIGTERM", in any case. Nothing: no signal.
inline std::optional<int> signal_of(const nlohmann::json& value) {
    const auto valid = [](long long number) {
        return number >= 1 && number <= SIGRTMAX ? std::optional(static_cast<int>(number)) : std::nullopt;
    };
    if (value.is_number_integer()) return valid(value.get<long long>());
    if (!value.is_string()) return std::nullopt;
    std::string_view name = value.get_ref<const std::string&>();
    int number = 0;
    const auto [rest, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (wrong == std::errc() && rest == name.data() + name.size()) return valid(number);
    if (name.size() > 3 && strncasecmp(name.data(), "SIG", 3) == 0) name.remove_prefix(3);
    for (int signo = 1; signo < SIGRTMIN; ++signo) {
        const char* const known = sigabbrev_np(signo);
        if (known && std::strlen(known) == name.size() && strncasecmp(known, name.data(), name.size()) == 0)
            return signo;
    }
    return std::nullopt;
}

// Seconds as milliseconds, at least one: a period is never zero.
inline std::chrono::milliseconds period_of(double seconds) {
    constexpr double kLongest = 1e9;
    const double ms = std::ceil(std::min(seconds, kLongest) * 1000.0);
    return std::chrono::milliseconds(ms >= 1 ? static_cast<long long>(ms) : 1);
}

}  // namespace circus
