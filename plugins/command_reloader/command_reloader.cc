// Reloads a watcher when the file of its command has changed: the program, or the script of an interpreter.
//
// Which files those are is read by `options`, at the start and after whatever may have changed it. A change
// is followed by `reload`, which replaces gracefully; a watcher that does not run is left alone.
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <circus/plugin.hpp>
#include <circus/values.hpp>

#include "changes.hpp"
#include "command.hpp"

namespace {

using circus::Json;
using command_reloader::Changes;

constexpr const char* kOptions = R"({
    "loop_rate": {"type": "number", "default": 1, "min": 0.01,
                  "doc": "seconds for which a changed file must be left alone before it is taken"}
})";

class CommandReloader final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_FDS, nullptr};
    using Plugin::Plugin;

    void start() override {
        const char* const path = std::getenv("PATH");
        path_ = path ? path : "/usr/local/bin:/usr/bin:/bin";
        try {
            changes_.emplace(circus::period_of(config().at("loop_rate").get<double>()));
        } catch (const std::system_error& error) {
            throw circus::Failure(CIRCUS_E_AGAIN, error.what());
        }
        readable_ = watch(changes_->fd(), CIRCUS_FD_IN, [this](std::uint32_t) {
            changes_->read(host().now());
            look_later();
        });
        for (const char* event : {"add", "start", "updated", "reload"})
            events_.push_back(
                on(std::string("watcher.*.") + event, [this](std::string_view, const Json& payload) {
                    ask(payload.at("watcher").get<std::string>());
                }));
        events_.push_back(on("watcher.*.remove", [this](std::string_view, const Json& payload) {
            const auto name = payload.at("watcher").get<std::string>();
            asked_.erase(name);
            if (files_.erase(name) > 0) watch_files_soon();
        }));
        call("status", Json::object(), [this](circus_status status, const Json& answer) {
            if (status == CIRCUS_OK)
                for (const auto& [name, state] : answer.at("statuses").items()) ask(name);
        });
    }

  private:
    void ask(const std::string& name) {
        if (name.starts_with("plugin:") || !asked_.insert(name).second) return;
        call("options", {{"name", name}}, [this, name](circus_status status, const Json& answer) {
            // Removed meanwhile, or no answer: nothing is known of it.
            if (asked_.erase(name) == 0 || status != CIRCUS_OK) return;
            files_[name] = command_reloader::files_of(answer.at("options"), path_);
            watch_files_soon();
        });
    }

    // Once for all the answers that come together: a stack of hundreds of watchers starts.
    void watch_files_soon() {
        if (!soon_) soon_ = after(std::chrono::milliseconds(1), [this] { watch_files(); });
    }
    void watch_files() {
        std::map<std::string, bool> paths;
        for (const auto& [name, files] : files_)
            for (const auto& file : files) paths[file.path] |= file.program;
        changes_->set(paths);
        for (const auto& [path, program] : paths)
            if (!watched_.contains(path)) host().debug(path + " is watched");
        watched_ = std::move(paths);
        if (!changes_->trouble().empty() && !std::exchange(complained_, true))
            host().warning("not everything can be watched: " + changes_->trouble());
        look_later();
    }

    void look_later() {
        const auto next = changes_->next_look();
        if (!next) {
            timer_.cancel();
            return;
        }
        const auto delay = std::chrono::ceil<std::chrono::milliseconds>(*next - host().now());
        timer_ = after(std::max(delay, std::chrono::milliseconds(1)), [this] { look(); });
    }

    void look() {
        const std::vector<std::string> changed = changes_->take_changed(host().now());
        for (const auto& [name, files] : files_)
            for (const auto& file : files)
                if (std::find(changed.begin(), changed.end(), file.path) != changed.end()) {
                    on_changed(name, file.path);
                    break;
                }
        look_later();
    }

    void on_changed(const std::string& name, const std::string& file) {
        call("status", {{"name", name}}, [this, name, file](circus_status, const Json& answer) {
            const auto status = answer.value("status", "");
            if (status == "active" || status == "starting") reload(name, file);
        });
    }

    void reload(const std::string& name, const std::string& file) {
        host().info(name + ": " + file + " has changed, reloading");
        call(
            "reload", {{"name", name}, {"waiting", true}},
            [this, name](circus_status status, const Json& answer) {
                if (status != CIRCUS_OK)
                    host().error(name + ": cannot be reloaded: " + answer.value("reason", "no reason given"));
            });
    }

    std::string path_;
    std::optional<Changes> changes_;
    std::map<std::string, std::vector<command_reloader::CommandFile>> files_;  // by watcher
    std::set<std::string> asked_;          // whose options are on their way
    std::map<std::string, bool> watched_;  // as Changes has them
    bool complained_ = false;
    std::vector<circus::Registration> events_;
    circus::Registration readable_, timer_, soon_;
};

}  // namespace

CIRCUS_PLUGIN(CommandReloader, "command_reloader", "1.0", "reloads a watcher when its program has changed",
              kOptions)
