// stats and dstats: figures of processes, read from /proc when they are asked for.
#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/handlers.hpp"
#include "control/properties.hpp"
#include "control/python_text.hpp"

namespace circus::control {

namespace {

using supervise::ChildId;
using supervise::Process;
using supervise::Watcher;

// A look takes some 30 us, so that a portion is below a millisecond.
constexpr std::size_t kLooksInAPortion = 25;

Json info_of(Context& context, const Watcher& watcher, const Process& process) {
    auto info = context.looks.look(process.pid, context.clock.now(), context.clock.wall(), true);
    if (!info) return stats::kVanished;
    (*info)["started"] = process.started_wall;
    (*info)["wid"] = process.wid;
    if (std::string why = watcher.trouble_of(process.wid); !why.empty())
        (*info)["last_trouble"] = std::move(why);
    if (process.ready.kind != config::ReadyConfig::Kind::Spawned) (*info)["ready"] = !process.awaited;
    (*info)["age"] = to_seconds(context.clock.now() - process.started);
    return std::move(*info);
}

// Answers when the extended_stats hooks of the watcher have said what they have to add.
void extend(Watcher& watcher, Json fields, const Reply& reply) {
    const Json infos = fields["info"];
    watcher.extend(infos, [fields = std::move(fields), reply](Json more) mutable {
        fields["info"] = std::move(more);
        reply.ok(fields);
    });
}

// One look after the other at the processes that there were when it was asked. Between two portions a process
// may end and its watcher be removed: both are found anew.
class Looks {
  public:
    // `fields`: what is answered beside the infos. With `by_watcher` they stand under the names of the
    // watchers.
    Looks(Context& context, Json fields, bool by_watcher, bool extended = false)
        : context_(context), fields_(std::move(fields)), by_watcher_(by_watcher), extended_(extended) {}

    void add(const Watcher& watcher) {
        infos(watcher.name()) = Json::object();
        for (const Process* process : watcher.active())
            subjects_.push_back({watcher.name(), process->id, process->pid});
    }

    bool go_on(const Reply& reply) {
        const std::size_t end = std::min(subjects_.size(), next_ + kLooksInAPortion);
        for (; next_ < end; ++next_) look_at(subjects_[next_]);
        if (next_ < subjects_.size()) return false;
        Watcher* const watcher =
            extended_ && !subjects_.empty() ? context_.arbiter.find(subjects_.front().watcher) : nullptr;
        if (watcher)
            extend(*watcher, std::move(fields_), reply);
        else
            reply.ok(std::move(fields_));
        return true;
    }

  private:
    struct Subject {
        std::string watcher;
        ChildId id;
        pid_t pid;
    };

    Json& infos(const std::string& watcher) {
        return by_watcher_ ? fields_["infos"][watcher] : fields_["info"];
    }
    void look_at(const Subject& subject) {
        const Watcher* watcher = context_.arbiter.find(subject.watcher);
        const Process* process = watcher ? watcher->find_child(subject.id) : nullptr;
        infos(subject.watcher)[std::to_string(subject.pid)] =
            process ? info_of(context_, *watcher, *process) : Json(stats::kVanished);
    }

    Context& context_;
    Json fields_;
    const bool by_watcher_;
    const bool extended_;  // of one watcher
    std::vector<Subject> subjects_;
    std::size_t next_ = 0;
};

// Small ones are answered at once, as every query is.
void begin(Context& context, const std::shared_ptr<Looks>& looks, const Reply& reply) {
    const bool may_wait = context.jobs.size() < kMostJobs;
    while (!looks->go_on(reply))
        if (may_wait) return context.jobs.push_back({reply, [looks, reply] { return looks->go_on(reply); }});
}

void stats_command(Context& context, const Json& properties, const Reply& reply) {
    context.looks.forget_gone();
    if (!has(properties, "name")) {
        const auto looks = std::make_shared<Looks>(context, Json{{"infos", Json::object()}}, true);
        for (const Watcher* watcher : context.arbiter.watchers()) looks->add(*watcher);
        return begin(context, looks, reply);
    }
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    const std::string name = text_of(properties, "name");
    const bool extended = flag_of(properties, "extended");
    if (!has(properties, "process")) {
        const auto looks = std::make_shared<Looks>(context, Json{{"name", name}}, false, extended);
        looks->add(*watcher);
        return begin(context, looks, reply);
    }
    const Json& asked = properties["process"];
    const auto pid = to_integer(asked);
    for (const Process* process : watcher->active()) {
        if (!pid || process->pid != *pid) continue;
        const Json info = info_of(context, *watcher, *process);
        if (!extended) return reply.ok({{"process", asked}, {"info", info}});
        return watcher->extend({{std::to_string(process->pid), info}}, [reply, asked](Json infos) {
            reply.ok({{"process", asked}, {"info", std::move(*infos.begin())}});
        });
    }
    reply.error(Errno::Message, cat("process ", repr(asked), " not found in ", py_repr(name)));
}

void dstats(Context& context, const Json&, const Reply& reply) {
    auto info = context.looks.look(context.daemon_pid, context.clock.now(), context.clock.wall(), false);
    reply.ok({{"info", info ? std::move(*info) : Json(stats::kVanished)}});
}

}  // namespace

std::vector<NamedHandler> stats_handlers() {
    return {{"stats", stats_command}, {"dstats", dstats}};
}

}  // namespace circus::control
