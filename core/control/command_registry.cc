#include "control/command_registry.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "control/command_table.hpp"
#include "control/request.hpp"

namespace circus::control {

namespace {

bool is_word(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
}

}  // namespace

Status CommandRegistry::add(Entry entry) {
    if (!is_word(entry.name))
        return Error{cat(py_repr(entry.name), " is no name for a command: letters, digits and . _ - only"),
                     static_cast<int>(Errno::Message)};
    const bool is_own = entry.owner.empty();
    const Entry* const taken = find(entry.name);
    if (taken || (!is_own && (find_command(entry.name) || find_own_command(entry.name))))
        return Error{
            cat("the command ", entry.name, " is ",
                taken && !taken->owner.empty() ? cat("the plugin ", taken->owner, "'s") : "circusd's own"),
            static_cast<int>(Errno::Command)};
    std::string key = to_lower(entry.name);
    entries_.emplace(std::move(key), std::move(entry));
    return Ok{};
}

void CommandRegistry::remove(std::string_view name) {
    if (const auto at = entries_.find(to_lower(name)); at != entries_.end()) entries_.erase(at);
}

const CommandRegistry::Entry* CommandRegistry::find(std::string_view name) const {
    const auto at = entries_.find(to_lower(name));
    return at == entries_.end() ? nullptr : &at->second;
}

std::vector<const CommandRegistry::Entry*> CommandRegistry::added() const {
    std::vector<const Entry*> out;
    for (const auto& [key, entry] : entries_)
        if (!entry.owner.empty()) out.push_back(&entry);
    return out;
}

}  // namespace circus::control
