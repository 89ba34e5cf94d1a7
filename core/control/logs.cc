// What is kept in memory of a watcher's output.
#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/handlers.hpp"
#include "control/properties.hpp"

namespace circus::control {

namespace {

using supervise::StreamKind;

constexpr long long kMostLines = 1'000'000;

void logs(Context& context, const Json& properties, const Reply& reply) {
    const supervise::Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    const bool errors = flag_of(properties, "stderr");
    const auto& stream = errors ? watcher->config().stderr_stream : watcher->config().stdout_stream;
    const std::string_view channel = errors ? "stderr" : "stdout";
    if (!stream)
        return reply.error(Errno::Command, cat("no lines of ", watcher->name(), " are kept in memory: its ",
                                               channel, " is circusd's own; give it a stream, as ", channel,
                                               "_stream.class = \"QueueStream\""));
    stream::TailQuery query;
    const long long lines = integer_of(properties, "lines").value_or(static_cast<long long>(query.lines));
    query.lines = static_cast<std::size_t>(std::clamp(lines, 0LL, kMostLines));
    if (const auto pid = integer_of(properties, "pid")) query.pid = static_cast<pid_t>(*pid);
    query.cursor = text_of(properties, "cursor");
    stream::Tail tail =
        context.arbiter.tail(*watcher, errors ? StreamKind::Stderr : StreamKind::Stdout, query)
            .value_or(stream::Tail{});
    Json rows = Json::array();
    for (auto& line : tail.lines)
        rows.push_back({{"pid", line.pid}, {"time", line.time}, {"text", std::move(line.text)}});
    reply.ok({{"lines", std::move(rows)}, {"cursor", tail.cursor}, {"skipped", tail.skipped}});
}

}  // namespace

std::vector<NamedHandler> log_handlers() {
    return {{"logs", logs}};
}

}  // namespace circus::control
