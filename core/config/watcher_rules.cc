// The rules between the options of one watcher.
#include <utility>

#include "base/text.hpp"
#include "config/option_row.hpp"
#include "config/virtual_env.hpp"

namespace circus::config {

namespace {

Faults check_max_surge(const WatcherConfig& config) {
    Faults found;
    if (config.max_surge == 0 && config.max_unavailable == 0)
        found.push_back(bad_value("max_surge", "is 0, and so is max_unavailable: nothing could be replaced"));
    if (!config.max_surge && config.max_unavailable > 0)
        found.push_back(bad_value("max_unavailable", "means nothing without max_surge"));
    return found;
}

Faults check_memory(const WatcherConfig& config) {
    const auto soft = config.memory_soft.bytes;
    const auto max = config.memory_max.bytes;
    if (soft == 0 || max == 0 || soft < max) return {};
    return {bad_value("memory_soft", "is not below memory_max")};
}

}  // namespace

Faults check_options(const WatcherConfig& config) {
    Faults found;
    if (!config.shell) {
        const auto words = split_words(config.cmd);
        if (!words) found.push_back(bad_value("cmd", words.error().text));
        if (words && (words->empty() || words->front().empty()))
            found.push_back(bad_value("cmd", "names no program"));
    } else if (trim(config.cmd).empty()) {
        found.push_back(bad_value("cmd", "names no program"));
    }
    if (!config.stop_command.empty() && !config.shell) {
        const auto words = split_words(config.stop_command);
        if (!words) found.push_back(bad_value("stop_command", words.error().text));
        if (words && (words->empty() || words->front().empty()))
            found.push_back(bad_value("stop_command", "names no program"));
    }
    for (const auto& [point, hook] : config.hooks) {
        if (hook.command.empty() || config.shell) continue;
        const auto words = split_words(hook.command);
        if (words && !words->empty() && !words->front().empty()) continue;
        Fault fault = bad_value("hooks", words ? "names no program" : words.error().text);
        fault.sub_key = to_string(point);
        fault.inner = "exec";
        found.push_back(std::move(fault));
    }
    if (auto fault = check_ready(config)) found.push_back(std::move(*fault));
    for (auto& fault : check_max_surge(config)) found.push_back(std::move(fault));
    for (auto& fault : check_memory(config)) found.push_back(std::move(fault));
    if (config.on_demand && !config.use_sockets && config.stdin_socket.empty())
        found.push_back(
            bad_value("on_demand", "it uses no socket; write use_sockets = true or stdin_socket"));
    if (!config.virtualenv.empty())
        if (const auto env = find_virtual_env(config.virtualenv, config.virtualenv_py_ver); !env)
            found.push_back(bad_value("virtualenv", env.error().text));
    if (config.singleton && config.numprocesses > 1) {
        Fault fault = bad_value("numprocesses", "a singleton watcher has a single process");
        fault.wire = "Singleton watcher has a single process";
        fault.wire_code = 5;
        found.push_back(std::move(fault));
    }
    for (const auto& [key, stream] : {std::pair("stdout_stream", &config.stdout_stream),
                                      std::pair("stderr_stream", &config.stderr_stream)})
        if (*stream)
            for (auto& fault : check_stream(key, **stream)) found.push_back(std::move(fault));
    return found;
}

}  // namespace circus::config
