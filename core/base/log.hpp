// The daemon's log as the layers see it: a level and a line. What takes the lines (spdlog, asynchronous, in
// core/bin; a vector, in tests) is set once at start, before threads exist. Thread-safe as its sink is.
#pragma once

#include <string_view>

namespace circus::log {

enum class Level { Debug, Info, Warning, Error, Critical };

using Sink = void (*)(Level, std::string_view line);
void set_sink(Sink sink);  // null: lines are dropped
void write(Level level, std::string_view line);

inline void debug(std::string_view line) {
    write(Level::Debug, line);
}
inline void info(std::string_view line) {
    write(Level::Info, line);
}
inline void warning(std::string_view line) {
    write(Level::Warning, line);
}
inline void error(std::string_view line) {
    write(Level::Error, line);
}

}  // namespace circus::log
