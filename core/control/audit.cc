#include "control/audit.hpp"

#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::control {

namespace {

constexpr std::size_t kLongest = 300;
constexpr std::size_t kLongestValue = 60;

std::string shortened(std::string text, std::size_t most) {
    if (text.size() <= most) return text;
    text.resize(most);
    return text + "...";
}

// What a message may carry besides words of its command, and nobody is to read: cmd and args may hold a
// password as well as options do.
bool is_told(std::string_view name) {
    return name != "cmd" && name != "args" && name != "options" && name != "name" && name != "watcher";
}

std::string value_text(const Json& value) {
    return shortened(value.is_string() ? value.get<std::string>()
                                       : value.dump(-1, ' ', false, Json::error_handler_t::replace),
                     kLongestValue);
}

}  // namespace

std::string audit_text(std::string_view command, const Json& properties) {
    std::string text(command);
    for (const char* name : {"name", "watcher"})
        if (const auto at = properties.find(name); at != properties.end() && !at->is_null())
            text += cat(" ", value_text(*at));
    for (const auto& [name, value] : properties.items()) {
        if (text.size() > kLongest) break;
        if (is_told(name) && value.is_primitive() && !value.is_null())
            text += cat(" ", name, "=", value_text(value));
    }
    const auto options = properties.find("options");
    if (options != properties.end() && options->is_object()) {
        std::vector<std::string> keys;
        for (const auto& [key, value] : options->items()) keys.push_back(key);
        text += cat(" options: ", join(keys, ", "));
    }
    return shortened(std::move(text), kLongest);
}

std::string audit_line(const Caller& caller, std::string_view what, const Result<Json>& result, bool begun) {
    const std::string how =
        result ? (begun ? "begun" : "ok") : cat("error: ", shortened(result.error().text, kLongest));
    return cat("audit: ", caller.name, ": ", what, ": ", how);
}

std::string RefusalLog::line(const Caller& caller, std::string_view what, std::string_view why,
                             TimePoint now) {
    std::string before;
    if (!began_ || now - *began_ >= kPeriod) {
        if (silent_ > 0) before = cat("(", silent_, " more refusals since the last of these lines) ");
        began_ = now;
        told_ = 0;
        silent_ = 0;
    }
    if (told_ == kLines) {
        ++silent_;
        return {};
    }
    ++told_;
    return cat(before, "refused: ", caller.name, ": ", what, ": ", shortened(std::string(why), kLongest));
}

}  // namespace circus::control
