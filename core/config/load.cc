#include "config/load.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/text.hpp"
#include "config/loader.hpp"
#include "config/sources.hpp"

namespace circus::config {

std::string Diagnostic::to_string() const {
    if (line == 0) return cat(file, ": ", text);
    return cat(file, ":", line, ":", column, ": ", text);
}

Loaded load(const std::string& file, const std::vector<std::string>& environment, bool as_pid1,
            const PluginCatalog* catalog) {
    Loaded loaded = Loader(read_sources(file, environment), environment, as_pid1, catalog).run();
    std::error_code ignored;
    loaded.config.file = std::filesystem::absolute(file, ignored).string();
    loaded.config.directory = std::filesystem::current_path(ignored).string();
    return loaded;
}

std::string summary(const Config& config) {
    const auto& circus = config.circus;
    std::string text = cat("control at ", circus.endpoint, ", events at ", circus.pubsub_endpoint, "\n");
    for (const auto& socket : config.sockets) {
        const std::string_view kind = socket.type == SocketType::Stream  ? "stream"
                                      : socket.type == SocketType::Dgram ? "datagram"
                                                                         : "seqpacket";
        const bool v6 = socket.host.find(':') != std::string::npos;
        const std::string address = socket.family == Family::Unix
                                        ? socket.path
                                        : cat(v6 ? "[" : "", socket.host, v6 ? "]" : "", ":", socket.port);
        text += cat("socket ", socket.name, ": ", kind, " at ", address,
                    socket.so_reuseport ? ", one listener for each worker" : "", "\n");
    }
    for (const auto& watcher : config.watchers) {
        std::string command = watcher.cmd;
        for (const auto& word : watcher.args) command += cat(" ", word);
        text +=
            cat("watcher ", watcher.name, ": ", watcher.numprocesses, " x ", command,
                watcher.shell ? " (in a shell)" : "", watcher.uid ? cat(" as ", watcher.uid->written) : "",
                watcher.autostart ? "" : ", not started by itself", "\n");
    }
    for (const auto& plugin : config.plugins)
        text +=
            cat("plugin ", plugin.name, ": ", plugin.use, " ", plugin.version,
                plugin.isolate ? " in a process of its own" : "", plugin.active ? "" : ", not active", "\n");
    return text;
}

}  // namespace circus::config
