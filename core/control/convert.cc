#include "control/convert.hpp"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "base/truth.hpp"
#include "config/option_table.hpp"
#include "sys/signals.hpp"

namespace circus::control {

namespace {

using config::ValueType;

Error not_a(const std::string& key, const char* what, const std::string& text) {
    return {cat(py_repr(key), " isn't ", what, ": ", py_repr(text)), 1};
}

Result<Json> to_boolean(const std::string& key, const std::string& text) {
    if (const auto truth = parse_truth(text)) return Json(*truth);
    return not_a(key, "a boolean (yes or no)", text);
}

Result<Json> to_integer_value(const std::string& key, const std::string& text) {
    if (const auto number = parse_int(text)) return Json(*number);
    return not_a(key, "an integer", text);
}

Result<Json> to_environment(const std::string& key, const std::string& text) {
    Json env = Json::object();
    for (const auto& pair : split(text, ',')) {
        if (trim(pair).empty()) continue;
        const std::size_t equals = pair.find('=');
        if (equals == std::string::npos) return not_a(key, "a list like A=1,B=2", text);
        env[std::string(trim(std::string_view(pair).substr(0, equals)))] =
            std::string(trim(std::string_view(pair).substr(equals + 1)));
    }
    return env;
}

// A text, or a table written as JSON.
Result<Json> to_text_or_table(const std::string& key, const std::string& text, const char* forms) {
    if (!text.starts_with('{')) return Json(text);
    Json table = Json::parse(text, nullptr, false);
    if (!table.is_discarded()) return table;
    return not_a(key, forms, text);
}

Result<Json> to_hook(const std::string& key, const std::string& text) {
    return to_text_or_table(key, text, R"(a hook like "lib.so:function" or {"exec": "command"})");
}

// Names with commas between them, or a table written as JSON.
Result<Json> to_names_or_table(const std::string& key, const std::string& text) {
    if (text.starts_with('{')) return to_text_or_table(key, text, R"(a table like {"db": "ready"})");
    Json names = Json::array();
    for (const auto& name : split(text, ','))
        if (!trim(name).empty()) names.push_back(std::string(trim(name)));
    return names;
}

Result<Json> by_type(const std::string& key, ValueType type, const std::string& text) {
    switch (type) {
        case ValueType::Boolean:
            return to_boolean(key, text);
        case ValueType::Integer:
            return to_integer_value(key, text);
        case ValueType::Number:
            if (const auto number = parse_number(text)) return Json(*number);
            return not_a(key, "a number", text);
        case ValueType::Signal:
            if (const auto signo = sys::parse_signal(text)) return Json(*signo);
            return not_a(key, "a signal", text);
        case ValueType::Env:
            return to_environment(key, text);
        case ValueType::Hooks:
            return to_hook(key, text);
        case ValueType::Depends:
            return to_names_or_table(key, text);
        case ValueType::Ready:
            return to_text_or_table(key, text, R"("spawned", "notify" or a table like {"exec": "command"})");
        default:
            return Json(text);
    }
}

}  // namespace

Result<Json> convert_option(const std::string& key, const std::string& text) {
    if (key.starts_with("rlimit_")) {
        const auto number = parse_int(text);
        return number ? Json(*number) : Json(text);
    }
    if (key.starts_with("stdout_stream.") || key.starts_with("stderr_stream.")) {
        // A text is what an option is that a class has which circusd knows nothing of.
        for (const auto& row : config::stream_options())
            if (row.name == std::string_view(key).substr(key.find('.') + 1))
                return by_type(key, row.type, text);
        return Json(text);
    }
    if (key.starts_with("hooks.")) return to_hook(key, text);
    const auto& rows = config::watcher_options();
    const auto row = std::find_if(rows.begin(), rows.end(), [&key](const auto& r) { return r.name == key; });
    if (row != rows.end()) return by_type(key, row->type, text);
    std::vector<std::string> names;
    names.reserve(rows.size());
    for (const auto& option : rows) names.emplace_back(option.name);
    std::string why = cat("unknown key ", py_repr(key));
    if (const auto near = did_you_mean(key, names)) why += cat("; did you mean ", py_repr(*near), "?");
    return Error{std::move(why), 1};
}

}  // namespace circus::control
