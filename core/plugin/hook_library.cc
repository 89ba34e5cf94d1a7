#include "plugin/hook_library.hpp"

#include <filesystem>
#include <utility>

#include "base/text.hpp"
#include "plugin/meter.hpp"

namespace circus::plugin {

using supervise::HookVerdict;

HookLibraries::Loaded::Loaded(loop::Loop& loop, Switchboard& board, std::string file_name, Library opened)
    : name(std::move(file_name)),
      library(std::move(opened)),
      backend(board, name),
      host(loop, backend, name) {
    backend.attach(host);
    host.open();
}

Result<supervise::HookFn> HookLibraries::load(const std::string& library, const std::string& function) {
    const auto failed = [&](const Error& error) {
        return Error{cat("hook library ", library, ": ", error.text), error.code};
    };
    auto at = libraries_.find(library);
    if (at == libraries_.end()) {
        const std::string name = std::filesystem::path(library).filename().string();
        if (const auto barred = barred_.find(to_lower(name)); barred != barred_.end()) {
            barred->second.file = library;
            return failed({cat("it is in quarantine: ", barred->second.why)});
        }
        auto opened = Meter::load(name, [&library] { return Library::open(library); });
        if (!opened) return failed(opened.error());
        if (const auto checked = hook_function(*opened, function); !checked) return failed(checked.error());
        at = libraries_.emplace(library, std::make_unique<Loaded>(loop_, board_, name, std::move(*opened)))
                 .first;
    }
    const auto found = hook_function(at->second->library, function);
    if (!found) return failed(found.error());
    return supervise::HookFn([this, loaded = at->second.get(), function, hook = found->call](
                                 const supervise::HookCall& call, supervise::HookAnswered answered) {
        if (closed_)
            return board_.later([answered = std::move(answered)] {
                answered({HookVerdict::Error, "circusd is stopping"});
            });
        if (!loaded->quarantine.empty())
            return board_.later([loaded, answered = std::move(answered)] {
                answered({HookVerdict::Error,
                          cat("library ", loaded->name, " is in quarantine: ", loaded->quarantine)});
            });
        loaded->host.invoke(hook, cat("hook ", function), call.hook, call.watcher, call.args,
                            [answered = std::move(answered)](circus_status status, const std::string& json) {
                                answered(hook_answer(status, json));
                            });
    });
}

bool HookLibraries::deliver(TimePoint until) {
    bool more = false;
    for (const auto& [file, loaded] : libraries_) more = loaded->host.deliver(until) || more;
    return more;
}

void HookLibraries::bar(std::string_view name, const std::string& why) {
    barred_[to_lower(name)] = {why};
}

bool HookLibraries::quarantine(std::string_view name, const std::string& why) {
    bool found = false;
    if (const auto barred = barred_.find(to_lower(name)); barred != barred_.end()) {
        barred->second.why = why;
        found = !barred->second.file.empty();
        if (!found) barred_.erase(barred);
    }
    for (const auto& [file, loaded] : libraries_) {
        if (!equals_ignoring_case(loaded->name, name)) continue;
        loaded->quarantine = why;
        found = true;
    }
    return found;
}

bool HookLibraries::release(std::string_view name) {
    const auto barred = barred_.find(to_lower(name));
    bool found = barred != barred_.end() && !barred->second.file.empty();
    if (found) barred_.erase(barred);
    for (const auto& [file, loaded] : libraries_)
        if (equals_ignoring_case(loaded->name, name))
            found = !std::exchange(loaded->quarantine, {}).empty() || found;
    return found;
}

std::vector<HookLibraries::Quarantined> HookLibraries::quarantined() const {
    std::vector<Quarantined> out;
    for (const auto& [file, loaded] : libraries_)
        if (!loaded->quarantine.empty())
            out.push_back({loaded->name, file, loaded->quarantine, loaded->host.meter().figures()});
    for (const auto& [name, barred] : barred_)
        if (!barred.file.empty())
            out.push_back(
                {std::filesystem::path(barred.file).filename().string(), barred.file, barred.why, {}});
    return out;
}

void HookLibraries::close() {
    closed_ = true;
    for (const auto& [file, loaded] : libraries_) loaded->host.close();
}

}  // namespace circus::plugin
