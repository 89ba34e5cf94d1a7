#include "stream/line_prefix.hpp"

#include <cstdio>
#include <cstring>

#include "base/text.hpp"

namespace circus::stream {

namespace {

// Replaces each %f that is no part of %%f; empty `micros`: only tells whether there is one.
std::string with_micros(std::string_view format, std::string_view micros, bool& found) {
    std::string out;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%' || i + 1 == format.size()) {
            out += format[i];
        } else if (format[++i] == 'f') {
            found = true;
            out += micros;
        } else {
            out += '%';
            out += format[i];
        }
    }
    return out;
}

}  // namespace

LinePrefix::LinePrefix(std::string format, int colour) : format_(std::move(format)) {
    if (colour > 0) {
        colour_ = cat("\033[0;3", colour, ";40m");
        ending_ = "\033[0m";
    }
    static_cast<void>(with_micros(format_, {}, has_micros_));
}

void LinePrefix::stamp() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec == second_ && !has_micros_) return;
    second_ = now.tv_sec;
    std::string format = format_;
    if (has_micros_) {
        char micros[24];
        std::snprintf(micros, sizeof micros, "%06ld", now.tv_nsec / 1000);
        format = with_micros(format_, micros, has_micros_);
    }
    tm local{};
    localtime_r(&now.tv_sec, &local);
    char text[512];
    const std::size_t n = std::strftime(text, sizeof text, format.c_str(), &local);
    prefix_ = cat(colour_, std::string_view(text, n), " [", pid_, "] | ");
}

void LinePrefix::append(std::string& out, std::string_view text, bool continues) {
    stamp();
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        if (!continues) out += prefix_;
        continues = false;
        out += text.substr(0, newline);
        if (newline == text.npos) return;
        out += ending_;
        out += '\n';
        text.remove_prefix(newline + 1);
    }
}

}  // namespace circus::stream
