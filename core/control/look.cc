#include "control/look.hpp"

#include <cstdlib>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.hpp"

namespace circus::control {

namespace {

constexpr std::size_t kUsualWidth = 80;

std::size_t width_of(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char* given = std::getenv("COLUMNS");
    const auto columns = parse_int(given ? given : "");
    return columns && *columns > 0 ? static_cast<std::size_t>(*columns) : kUsualWidth;
}

}  // namespace

std::optional<ColourWhen> parse_colour_when(std::string_view word) {
    if (word == "auto") return ColourWhen::Auto;
    if (word == "always") return ColourWhen::Always;
    if (word == "never") return ColourWhen::Never;
    return std::nullopt;
}

Surroundings surroundings_of(int fd) {
    Surroundings found;
    found.terminal = ::isatty(fd) == 1;
    if (!found.terminal) return found;
    found.width = width_of(fd);
    const char* no_color = std::getenv("NO_COLOR");
    const char* kind = std::getenv("TERM");
    found.refuses_colour = (no_color && *no_color) || (kind && std::string_view(kind) == "dumb");
    return found;
}

Look look_of(ColourWhen when, const Surroundings& surroundings) {
    Look look;
    look.width = surroundings.width;
    look.table = surroundings.terminal || when == ColourWhen::Always;
    look.colour = when == ColourWhen::Always ||
                  (when == ColourWhen::Auto && surroundings.terminal && !surroundings.refuses_colour);
    return look;
}

}  // namespace circus::control
