// deaths: the records of the processes that have ended, and how many ended how.
#include "supervise/deaths.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/handlers.hpp"
#include "control/properties.hpp"

namespace circus::control {

namespace {

using supervise::DeathBook;
using supervise::Watcher;

Json deaths_of(const DeathBook& book, const Watcher& watcher, std::size_t most) {
    Json records = Json::array();
    for (const DeathBook::Record& record : book.last(watcher.serial(), most))
        records.push_back(supervise::to_json(record));
    return {{"deaths", std::move(records)}, {"counts", supervise::to_json(book.counts(watcher.serial()))}};
}

// What a portion may cost, in records: some microseconds each. A watcher costs as much.
constexpr std::size_t kPortion = 100;

// The processes of isolated plugins are no worker's, but end as they do: who asks why a plugin is away wants
// to see it here.
Watcher* find_any(const Context& context, const std::string& name) {
    Watcher* const watcher = context.arbiter.find(name);
    return watcher ? watcher : context.arbiter.find_hidden(name);
}

// Of all watchers there were when it was asked, some a portion.
class Survey {
  public:
    Survey(Context& context, const DeathBook& book, std::size_t most)
        : context_(context), book_(book), most_(most) {
        for (const Watcher* watcher : context.arbiter.all_watchers()) names_.push_back(watcher->name());
    }

    bool go_on(const Reply& reply) {
        for (std::size_t cost = 0; !names_.empty() && cost < kPortion;) {
            const Watcher* const watcher = find_any(context_, names_.back());
            names_.pop_back();
            if (!watcher) continue;
            Json& of = answer_["watchers"][watcher->name()] = deaths_of(book_, *watcher, most_);
            cost += 1 + of["deaths"].size();
        }
        if (!names_.empty()) return false;
        reply.ok(std::move(answer_));
        return true;
    }

  private:
    Context& context_;
    const DeathBook& book_;
    const std::size_t most_;
    std::vector<std::string> names_;  // that are still to come
    Json answer_{{"watchers", Json::object()}};
};

void deaths(Context& context, const Json& properties, const Reply& reply) {
    const DeathBook* const book = context.arbiter.deaths();
    const Watcher* watcher = nullptr;
    if (has(properties, "name")) {
        watcher = find_any(context, text_of(properties, "name"));
        if (!watcher) watcher = find_watcher(context, properties, reply);  // which says that there is none
        if (!watcher) return;
    }
    if (!book) return reply.error(Errno::Command, "no records are kept: there was no memory for them");
    constexpr auto kMost = static_cast<long long>(DeathBook::kPerWatcher);
    const auto most =
        static_cast<std::size_t>(std::clamp(integer_of(properties, "last").value_or(kMost), 0LL, kMost));
    if (watcher) {
        Json answer = deaths_of(*book, *watcher, most);
        answer["name"] = watcher->name();
        return reply.ok(std::move(answer));
    }
    const auto survey = std::make_shared<Survey>(context, *book, most);
    const bool may_wait = context.jobs.size() < kMostJobs;
    while (!survey->go_on(reply))
        if (may_wait)
            return context.jobs.push_back({reply, [survey, reply] { return survey->go_on(reply); }});
}

}  // namespace

std::vector<NamedHandler> death_handlers() {
    return {{"deaths", deaths}};
}

}  // namespace circus::control
