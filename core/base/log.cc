#include "base/log.hpp"

namespace circus::log {

namespace {
Sink g_sink = nullptr;
}

void set_sink(Sink sink) {
    g_sink = sink;
}

void write(Level level, std::string_view line) {
    if (g_sink) g_sink(level, line);
}

}  // namespace circus::log
