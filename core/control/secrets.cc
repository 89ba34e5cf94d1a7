#include "control/secrets.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::control {

namespace {

bool has_secret_part(const std::string& name) {
    static constexpr auto kParts = std::to_array<std::string_view>(
        {"password", "passwd", "passphrase", "secret", "token", "credential", "privatekey"});
    return std::any_of(kParts.begin(), kParts.end(),
                       [&name](std::string_view part) { return name.find(part) != std::string::npos; });
}

bool has_secret_word(const std::string& name) {
    static constexpr auto kWords =
        std::to_array<std::string_view>({"pass", "sshpass", "pwd", "auth", "key", "apikey"});
    std::string spaced = name;
    for (char& c : spaced)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = ' ';
    const auto words = split(spaced, ' ');
    return std::any_of(words.begin(), words.end(), [](const std::string& word) {
        return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
    });
}

// Where a shell is, and was.
bool is_shells_own(const std::string& name) {
    return name == "pwd" || name == "oldpwd";
}

// scheme://user:password@host, and scheme://token@host: whether it is a token or a user's name cannot be
// told, but of ssh://, which has no token.
bool is_url_with_password(std::string_view value) {
    constexpr std::string_view kMark = "://";
    for (std::size_t at = value.find(kMark); at != std::string_view::npos; at = value.find(kMark, at)) {
        const bool is_ssh = value.substr(0, at).ends_with("ssh");
        at += kMark.size();
        const std::string_view authority = value.substr(at, value.substr(at).find_first_of("/?#"));
        const std::size_t end = authority.rfind('@');
        if (end == std::string_view::npos || end == 0) continue;
        if (!is_ssh || authority.substr(0, end).find(':') != std::string_view::npos) return true;
    }
    return false;
}

void mask(std::string_view name, Json& value) {
    if (value.is_string() && is_secret(name, value.get_ref<const std::string&>())) value = kMask;
}

}  // namespace

bool is_secret(std::string_view name, std::string_view value) {
    if (value.empty()) return false;
    const std::string lower = to_lower(name);
    if (is_url_with_password(value)) return true;
    return !is_shells_own(lower) &&
           (has_secret_part(lower) || has_secret_word(lower) || lower.ends_with("pwd"));
}

void mask_secrets(Json& options) {
    for (auto& [name, value] : options.items()) {
        if (name == "env" && value.is_object())
            for (auto& [variable, content] : value.items()) mask(variable, content);
        else if (name.find('.') != std::string::npos)  // a plugin's
            mask(name, value);
    }
}

void unmask_secrets(Json& options, const Json& now) {
    const auto env = options.find("env");
    if (env == options.end() || !env->is_object()) return;
    const auto had = now.find("env");
    Json real = Json::object();
    for (auto& [name, value] : env->items()) {
        if (value != kMask)
            real[name] = value;
        else if (had != now.end() && had->is_object() && had->contains(name))
            real[name] = (*had)[name];
    }
    *env = std::move(real);
}

}  // namespace circus::control
