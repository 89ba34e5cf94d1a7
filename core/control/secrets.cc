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
        {"password", "passwd", "passphrase", "secret", "token", "credential"});
    return std::any_of(kParts.begin(), kParts.end(),
                       [&name](std::string_view part) { return name.find(part) != std::string::npos; });
}

bool has_secret_word(const std::string& name) {
    std::string spaced = name;
    for (char& c : spaced)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = ' ';
    const auto words = split(spaced, ' ');
    return std::any_of(words.begin(), words.end(), [](const std::string& word) {
        return word == "pass" || word == "key" || word == "apikey";
    });
}

// scheme://user:password@host
bool is_url_with_password(std::string_view value) {
    const std::size_t scheme = value.find("://");
    if (scheme == std::string_view::npos) return false;
    std::string_view authority = value.substr(scheme + 3);
    authority = authority.substr(0, authority.find_first_of("/?#"));
    const std::size_t at = authority.rfind('@');
    return at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos;
}

void mask(std::string_view name, Json& value) {
    if (value.is_string() && is_secret(name, value.get_ref<const std::string&>())) value = kMask;
}

}  // namespace

bool is_secret(std::string_view name, std::string_view value) {
    if (value.empty()) return false;
    const std::string lower = to_lower(name);
    return has_secret_part(lower) || has_secret_word(lower) || is_url_with_password(value);
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
