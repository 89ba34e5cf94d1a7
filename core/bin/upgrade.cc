#include "bin/upgrade.hpp"

#include <cerrno>
#include <memory>
#include <unistd.h>
#include <utility>

#include <climits>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/properties.hpp"
#include "control/request.hpp"
#include "keeper/reexec.hpp"
#include "sys/short_run.hpp"

namespace circus::bin {

namespace {

constexpr Milliseconds kShortLook{5'000};
constexpr Milliseconds kLongLook{60'000};

Error refused(std::string why, control::Errno number = control::Errno::Command) {
    return {std::move(why), static_cast<int>(number)};
}

// A file that was replaced is still the one of its name: the kernel only adds that it was.
std::string own_binary() {
    char path[PATH_MAX];
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
    std::string name(path, size > 0 ? static_cast<std::size_t>(size) : 0);
    constexpr std::string_view kReplaced = " (deleted)";
    if (name.ends_with(kReplaced)) name.resize(name.size() - kReplaced.size());
    return name;
}

Status look(const std::string& binary, const std::vector<std::string>& more, Milliseconds limit,
            std::string_view what) {
    std::vector<std::string> argv{binary};
    argv.insert(argv.end(), more.begin(), more.end());
    const auto run = sys::run_for_answer(argv, limit);
    if (!run) return Error{cat(binary, " cannot be run: ", run.error().text)};
    if (!run->in_time) return Error{cat(binary, " ", what, ": no answer within ", limit.count(), " ms")};
    if (run->signal != 0) return Error{cat(binary, " ", what, ": killed by signal ", run->signal)};
    if (run->exit_code == 0) return Ok{};
    const std::string_view why = trim(run->errors);
    return Error{cat(binary, " ", what, why.empty() ? "" : cat(": ", why))};
}

Status look_at(const std::string& binary, const std::string& configuration) {
    if (Status fits = look(binary, {"--resumes", std::to_string(keeper::kKeeperStateVersion)}, kShortLook,
                           "cannot take over from this version; restart circusd for it");
        !fits)
        return fits;
    return look(binary, {"--check", configuration}, kLongLook, "cannot use the configuration");
}

}  // namespace

Upgrade::Upgrade(control::CommandRegistry& registry, loop::KeeperClient& keeper,
                 supervise::WorkerPort& worker, std::string configuration, std::function<void()> leave)
    : registry_(registry),
      keeper_(keeper),
      worker_(worker),
      configuration_(std::move(configuration)),
      leave_(std::move(leave)) {
    control::CommandRegistry::Entry entry;
    entry.name = "upgrade";
    entry.run = [this](const Json& properties, control::CommandRegistry::Answered answered) {
        begin(control::has(properties, "binary") ? control::text_of(properties, "binary") : std::string(),
              std::move(answered));
    };
    [[maybe_unused]] const Status added = registry_.add(std::move(entry));
}

Upgrade::~Upgrade() {
    registry_.remove("upgrade");
}

void Upgrade::begin(std::string binary, control::CommandRegistry::Answered answered) {
    if (!binary_.empty()) return answered(refused("an upgrade is under way already"));
    if (binary.empty()) binary = own_binary();
    if (!binary.starts_with('/'))
        return answered(refused(cat("binary invalid: ", py_repr(binary), "; give its whole path"),
                                control::Errno::Message));
    if (binary.size() >= sizeof(keeper::UpgradeMessage::binary))
        return answered(refused("the binary's path is too long", control::Errno::Message));
    binary_ = std::move(binary);
    answered_ = std::move(answered);
    log::info(cat("upgrade: looking at ", binary_));
    const auto seen = std::make_shared<Status>(Ok{});
    worker_.run(
        [seen, file = binary_, configuration = configuration_] { *seen = look_at(file, configuration); },
        [this, seen] {
            if (!*seen) return end(refused((*seen).error().text));
            log::info(cat("upgrade: going on as ", binary_));
            keeper_.upgrade(binary_);
        });
}

void Upgrade::on_upgraded(int error) {
    if (error == EPROTO)
        return end(refused(cat(binary_,
                               " does not understand what this version has written down; circusd runs "
                               "on as it was")));
    if (error != 0) return end(refused(sys_error(cat("cannot run ", binary_), error).text));
    end(Json::object());
    leave_();
}

void Upgrade::end(const Result<Json>& result) {
    if (!result) log::error(cat("upgrade given up, everything is as it was: ", result.error().text));
    binary_.clear();
    if (const auto answered = std::exchange(answered_, {})) answered(result);
}

}  // namespace circus::bin
