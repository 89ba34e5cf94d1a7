// stats and dstats: figures of processes, read from /proc when they are asked for.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/handlers.hpp"
#include "control/properties.hpp"
#include "control/python_text.hpp"
#include "stats/process_details.hpp"

namespace circus::control {

namespace {

using supervise::ChildId;
using supervise::Process;
using supervise::Watcher;

// A look takes some 10 us, and 20 more with children, so that a portion is below a millisecond.
constexpr std::size_t kLooksInAPortion = 25;

using Details = std::map<pid_t, std::string>;  // members of the objects (process_details.hpp)

struct Wish {
    bool with_children = true;
    bool details = false;
    bool extended = false;  // of one watcher
};

Wish wish_of(const Json& properties) {
    return {flag_of(properties, "children", true), flag_of(properties, "details"),
            flag_of(properties, "extended")};
}

// Appends the object of a process, or the text in its place.
void append_info(std::string& out, Context& context, const Watcher& watcher, const Process& process,
                 bool with_children, const Details& details) {
    std::string more = R"("started":)";
    stats::append_float(more, process.started_wall);
    more += cat(R"(,"wid":)", process.wid);
    if (const std::string why = watcher.trouble_of(process.wid); !why.empty())
        more += cat(R"(,"last_trouble":)", stats::quoted(why));
    if (process.ready.kind != config::ReadyConfig::Kind::Spawned)
        more += cat(R"(,"ready":)", process.awaited ? "false" : "true");
    if (const auto found = details.find(process.pid); found != details.end() && !found->second.empty())
        more += cat(",", found->second);
    const TimePoint now = context.clock.now();
    if (!context.looks.append(out, process.pid, now, context.clock.wall(), with_children,
                              {more, to_seconds(now - process.started)}))
        out += stats::quoted(stats::kVanished);
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
    // `head`: members of the answer that stand before the infos, as text. With `by_watcher` these stand under
    // the names of the watchers.
    Looks(Context& context, const std::string& head, bool by_watcher, const Wish& wish)
        : context_(context), wish_(wish), by_watcher_(by_watcher) {
        text_ = cat("{", head, by_watcher ? R"("infos":{)" : "");
    }

    // All processes of one watcher are added before those of the next.
    void add(const Watcher& watcher) {
        if (subjects_.empty()) only_ = watcher.name();
        watchers_.push_back({watcher.name(), subjects_.size()});
        for (const Process* process : watcher.active())
            subjects_.push_back({watcher.name(), process->id, process->pid});
    }
    bool wants_details() const { return wish_.details && !subjects_.empty(); }
    std::vector<pid_t> pids() const {
        std::vector<pid_t> pids;
        for (const Subject& subject : subjects_) pids.push_back(subject.pid);
        return pids;
    }
    void take(Details details) { details_ = std::move(details); }

    bool go_on(const Reply& reply) {
        const std::size_t end = std::min(subjects_.size(), next_ + kLooksInAPortion);
        for (; next_ < end; ++next_) {
            open_watchers();
            look_at(subjects_[next_]);
        }
        if (next_ < subjects_.size()) return false;
        open_watchers();
        text_ += opened_ > 0 ? "}" : "";
        text_ += by_watcher_ ? "}}" : "}";
        Watcher* const watcher = wish_.extended && !by_watcher_ ? context_.arbiter.find(only_) : nullptr;
        if (watcher && !subjects_.empty())
            extend(*watcher, Json::parse(text_), reply);
        else
            reply.ok_text(text_);
        return true;
    }

  private:
    struct Subject {
        std::string watcher;
        ChildId id;
        pid_t pid;
    };
    struct Begin {
        std::string watcher;
        std::size_t at;  // its first subject
    };

    // Those that begin with the next subject, or before it and have none.
    void open_watchers() {
        for (; opened_ < watchers_.size() && watchers_[opened_].at <= next_; ++opened_) {
            if (opened_ > 0) text_ += "},";
            text_ += by_watcher_ ? cat(stats::quoted(watchers_[opened_].watcher), ":{") : R"("info":{)";
        }
    }
    void look_at(const Subject& subject) {
        const Watcher* watcher = context_.arbiter.find(subject.watcher);
        const Process* process = watcher ? watcher->find_child(subject.id) : nullptr;
        text_ += cat(text_.back() == '{' ? "\"" : ",\"", subject.pid, "\":");
        if (process)
            append_info(text_, context_, *watcher, *process, wish_.with_children, details_);
        else
            text_ += stats::quoted(stats::kVanished);
    }

    Context& context_;
    const Wish wish_;
    const bool by_watcher_;
    std::string text_, only_;
    std::vector<Begin> watchers_;
    std::vector<Subject> subjects_;
    Details details_;
    std::size_t opened_ = 0, next_ = 0;
};

// Small ones are answered at once, as every query is.
void look_in_portions(Context& context, const std::shared_ptr<Looks>& looks, const Reply& reply) {
    const bool may_wait = context.jobs.size() < kMostJobs;
    while (!looks->go_on(reply))
        if (may_wait) return context.jobs.push_back({reply, [looks, reply] { return looks->go_on(reply); }});
}

// What may take the kernel long is looked up in the worker's thread.
void look_up(Context& context, std::vector<pid_t> pids, std::function<void(Details)> then) {
    const auto found = std::make_shared<Details>();
    const auto job = [found, pids = std::move(pids)] {
        for (const pid_t pid : pids) (*found)[pid] = stats::details_of(pid);
    };
    const auto told = [found, then = std::move(then)] { then(std::move(*found)); };
    if (supervise::WorkerPort* const worker = context.arbiter.worker()) return worker->run(job, told);
    job();
    told();
}

void begin(Context& context, const std::shared_ptr<Looks>& looks, const Reply& reply) {
    if (!looks->wants_details()) return look_in_portions(context, looks, reply);
    look_up(context, looks->pids(), [&context, looks, reply](Details details) {
        looks->take(std::move(details));
        look_in_portions(context, looks, reply);
    });
}

// Answers with the object of one process.
void show_process(Context& context, Watcher& watcher, const Process& process, const Json& asked,
                  const Wish& wish, const Details& details, const Reply& reply) {
    std::string info;
    append_info(info, context, watcher, process, wish.with_children, details);
    if (!wish.extended) return reply.ok_text(cat(R"({"process":)", asked.dump(), R"(,"info":)", info, "}"));
    watcher.extend({{std::to_string(process.pid), Json::parse(info)}}, [reply, asked](Json infos) {
        reply.ok({{"process", asked}, {"info", std::move(*infos.begin())}});
    });
}

void show_one(Context& context, Watcher& watcher, const Json& properties, const Reply& reply) {
    const Json& asked = properties["process"];
    const auto pid = to_integer(asked);
    const Wish wish = wish_of(properties);
    for (const Process* process : watcher.active()) {
        if (!pid || process->pid != *pid) continue;
        if (!wish.details) return show_process(context, watcher, *process, asked, wish, {}, reply);
        return look_up(
            context, {process->pid},
            [&context, name = watcher.name(), id = process->id, asked, wish, reply](const Details& details) {
                Watcher* const of = context.arbiter.find(name);
                const Process* const it = of ? of->find_child(id) : nullptr;
                if (it) return show_process(context, *of, *it, asked, wish, details, reply);
                reply.ok({{"process", asked}, {"info", stats::kVanished}});
            });
    }
    reply.error(Errno::Message,
                cat("process ", repr(asked), " not found in ", py_repr(text_of(properties, "name"))));
}

void stats_command(Context& context, const Json& properties, const Reply& reply) {
    context.looks.forget_gone();
    const Wish wish = wish_of(properties);
    if (!has(properties, "name")) {
        const auto looks = std::make_shared<Looks>(context, std::string(), true, wish);
        for (const Watcher* watcher : context.arbiter.watchers()) looks->add(*watcher);
        return begin(context, looks, reply);
    }
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    if (has(properties, "process")) return show_one(context, *watcher, properties, reply);
    const std::string head = cat(R"("name":)", stats::quoted(text_of(properties, "name")), ",");
    const auto looks = std::make_shared<Looks>(context, head, false, wish);
    looks->add(*watcher);
    begin(context, looks, reply);
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
