// start, stop, restart, reload, quit: of one watcher, of those a pattern names, or of all.
#include <nlohmann/json.hpp>

#include "base/pattern.hpp"
#include "base/text.hpp"
#include "control/handlers.hpp"
#include "control/properties.hpp"
#include "control/python_text.hpp"

namespace circus::control {

namespace {

using supervise::Arbiter;
using supervise::Done;
using supervise::OpResult;
using supervise::ReloadKind;
using supervise::Watcher;

using Watchers = std::vector<Watcher*>;

// Longer patterns are refused: fnmatch(3) takes time by their length.
constexpr std::size_t kMaxPattern = 512;

// The watchers that `name` and `match` mean. Nothing: the error is answered.
std::optional<Watchers> matching(Context& context, const Json& properties, const Reply& reply) {
    const std::string pattern = text_of(properties, "name");
    const std::string method = has(properties, "match") ? str(properties["match"]) : std::string("glob");
    Watchers hits;
    if (method == "simple") {
        if (Watcher* watcher = context.arbiter.find(pattern)) hits.push_back(watcher);
    } else if (method == "glob") {
        if (pattern.size() <= kMaxPattern)
            for (Watcher* watcher : context.arbiter.watchers())
                if (glob_match(pattern, watcher->name())) hits.push_back(watcher);
    } else if (method == "regex") {
        const auto compiled = Pattern::compile(to_lower(pattern));
        if (!compiled) {
            reply.error(Errno::Message,
                        cat("invalid pattern ", py_repr(pattern), ": ", compiled.error().text));
            return std::nullopt;
        }
        for (Watcher* watcher : context.arbiter.watchers())
            if (compiled->matches_beginning_of(to_lower(watcher->name()))) hits.push_back(watcher);
    } else {
        reply.error(Errno::Message, cat("unknown match method ", method));
        return std::nullopt;
    }
    if (!hits.empty()) return hits;
    reply.error(Errno::Message, cat("program ", pattern, " not found"));
    return std::nullopt;
}

Watchers with_autostart(const Watchers& watchers) {
    Watchers wanted;
    for (Watcher* watcher : watchers)
        if (watcher->config().autostart) wanted.push_back(watcher);
    return wanted;
}

Json started(const OpResult& result) {
    return {{"info", {{"started", result.started}, {"kept", result.kept}}}};
}

Json nothing(const OpResult&) {
    return {{"info", nullptr}};
}

Json replaced(const OpResult& result) {
    return {{"info", {{"stopped", result.stopped}, {"started", result.started}, {"kept", result.kept}}}};
}

using OfOne = void (Arbiter::*)(Watcher&, Done);
using OfSeveral = void (Arbiter::*)(const Watchers&, Done);

// One watcher that is named, alone or by a pattern, is meant whatever its autostart says; of several, those
// that do not start by themselves are left out (`stop` means them all).
void carry_out(Context& context, const Json& properties, const Reply& reply, OfOne of_one,
               OfSeveral of_several, Reply::Fields fields, bool only_autostart) {
    Arbiter& arbiter = context.arbiter;
    Watchers meant = arbiter.watchers();
    if (has(properties, "name")) {
        auto hits = matching(context, properties, reply);
        if (!hits) return;
        meant = std::move(*hits);
        if (meant.size() == 1) {
            (arbiter.*of_one)(*meant.front(), reply.at_end(std::move(fields)));
            return reply.began();
        }
    }
    if (only_autostart) meant = with_autostart(meant);
    (arbiter.*of_several)(meant, reply.at_end());
    reply.began();
}

void start(Context& context, const Json& properties, const Reply& reply) {
    carry_out(context, properties, reply, &Arbiter::start, &Arbiter::start_all, started, true);
}

void stop(Context& context, const Json& properties, const Reply& reply) {
    carry_out(context, properties, reply, &Arbiter::stop, &Arbiter::stop_all, nothing, false);
}

void restart(Context& context, const Json& properties, const Reply& reply) {
    if (!has(properties, "name")) return restart_everything(context, properties, reply);
    carry_out(context, properties, reply, &Arbiter::restart, &Arbiter::restart_all, replaced, true);
}

ReloadKind kind_of(const Json& properties) {
    if (!flag_of(properties, "graceful", true)) return ReloadKind::Terminate;
    return flag_of(properties, "sequential") ? ReloadKind::Sequential : ReloadKind::AsConfigured;
}

// A number of processes; nothing: none was given.
Result<std::optional<int>> count_of(const Json& properties, const char* name) {
    if (!has(properties, name)) return std::optional<int>();
    const auto count = integer_of(properties, name);
    if (!count || *count < 0 || *count > kMaxProcesses)
        return Error{cat(py_repr(name), " isn't a number of processes"), static_cast<int>(Errno::Message)};
    return std::optional(static_cast<int>(*count));
}

Result<supervise::ReloadRequest> request_of(const Json& properties) {
    supervise::ReloadRequest request(kind_of(properties));
    const auto surge = count_of(properties, "max_surge");
    if (!surge) return surge.error();
    const auto unavailable = count_of(properties, "max_unavailable");
    if (!unavailable) return unavailable.error();
    const auto canary = count_of(properties, "canary");
    if (!canary) return canary.error();
    request.max_surge = *surge;
    request.max_unavailable = *unavailable;
    request.canary = canary->value_or(0);
    if (has(properties, "canary_seconds")) {
        if (request.canary == 0)
            return Error{"'canary_seconds' needs 'canary'", static_cast<int>(Errno::Message)};
        request.canary_watch = from_seconds(seconds_of(properties, "canary_seconds").value_or(0));
    } else if (request.canary > 0) {
        return Error{"'canary' needs 'canary_seconds': for how long the first ones are watched",
                     static_cast<int>(Errno::Message)};
    }
    return request;
}

void reload(Context& context, const Json& properties, const Reply& reply) {
    const auto request = request_of(properties);
    if (!request) return reply.error(request.error());
    if (!has(properties, "name")) {
        context.arbiter.reload_all(context.arbiter.watchers(), *request, reply.at_end());
        return reply.began();
    }
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    context.arbiter.reload(*watcher, *request, reply.at_end(replaced));
    reply.began();
}

void quit(Context& context, const Json&, const Reply& reply) {
    context.arbiter.quit(reply.at_end());
    reply.began();
}

}  // namespace

std::vector<NamedHandler> lifecycle_handlers() {
    return {{"start", start}, {"stop", stop}, {"restart", restart}, {"reload", reload}, {"quit", quit}};
}

}  // namespace circus::control
