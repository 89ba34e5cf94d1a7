#include "config/dependencies.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"

namespace circus::config {
namespace {

using Until = Dependency::Until;

std::optional<std::size_t> index_of(const std::vector<WatcherConfig>& watchers, const std::string& name) {
    for (std::size_t i = 0; i < watchers.size(); ++i)
        if (equals_ignoring_case(watchers[i].name, name)) return i;
    return std::nullopt;
}

// A walk along depends_on; what stands on `path_` is being looked at, so to come upon it again is a cycle.
class CycleSearch {
  public:
    CycleSearch(const std::vector<WatcherConfig>& watchers, std::vector<DependencyFault>& faults)
        : watchers_(watchers), faults_(faults), done_(watchers.size(), false) {}

    void run() {
        for (std::size_t i = 0; i < watchers_.size(); ++i)
            if (!done_[i]) visit(i);
    }

  private:
    struct Step {
        std::size_t watcher = 0;
        std::size_t next = 0;  // of its dependencies
    };

    // Without recursion: a file may hold thousands of watchers in a row.
    void visit(std::size_t first) {
        path_ = {{first}};
        while (!path_.empty()) {
            Step& step = path_.back();
            const auto& wanted = watchers_[step.watcher].depends_on;
            if (step.next == wanted.size()) {
                done_[step.watcher] = true;
                path_.pop_back();
                continue;
            }
            const auto on = index_of(watchers_, wanted[step.next++].name);
            if (!on || done_[*on]) continue;
            const auto at = std::find_if(path_.begin(), path_.end(),
                                         [on](const Step& each) { return each.watcher == *on; });
            if (at == path_.end())
                path_.push_back({*on});
            else
                tell(static_cast<std::size_t>(at - path_.begin()));
        }
    }

    void tell(std::size_t from) {
        std::vector<std::string> names;
        std::size_t first = from;
        for (std::size_t i = from; i < path_.size(); ++i)
            if (path_[i].watcher < path_[first].watcher) first = i;
        const std::size_t length = path_.size() - from;
        for (std::size_t i = 0; i <= length; ++i)
            names.push_back(watchers_[path_[from + (first - from + i) % length].watcher].name);
        faults_.push_back({path_[first].watcher, names[1],
                           cat("is a cycle, in which nobody could start first: ", join(names, " → "))});
    }

    const std::vector<WatcherConfig>& watchers_;
    std::vector<DependencyFault>& faults_;
    std::vector<bool> done_;
    std::vector<Step> path_;
};

std::string wrong_dependency(const std::vector<WatcherConfig>& watchers, const Dependency& on) {
    const auto index = index_of(watchers, on.name);
    if (!index) {
        std::vector<std::string> names;
        for (const auto& watcher : watchers) names.push_back(watcher.name);
        const auto near = did_you_mean(on.name, names);
        return cat("there is no watcher ", on.name, near ? cat("; did you mean \"", *near, "\"?") : "");
    }
    if (on.until == Until::Completed && watchers[*index].respawn)
        return cat(on.name, " is never completed: what ends is replaced; give it respawn = false");
    return {};
}

}  // namespace

std::vector<DependencyFault> check_dependencies(const std::vector<WatcherConfig>& watchers) {
    std::vector<DependencyFault> faults;
    for (std::size_t i = 0; i < watchers.size(); ++i)
        for (const Dependency& on : watchers[i].depends_on)
            if (std::string wrong = wrong_dependency(watchers, on); !wrong.empty())
                faults.push_back({i, on.name, std::move(wrong)});
    CycleSearch(watchers, faults).run();
    return faults;
}

}  // namespace circus::config
