// `hooks`: each is "library.so:function", ["library.so:function", ignore_failure] or a table around `exec`.
#include <algorithm>
#include <array>
#include <cctype>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_row.hpp"

namespace circus::config {
namespace {

using Hooks = std::map<model::HookPoint, HookConfig>;

constexpr std::string_view kForms = "write \"library.so:function\" or {exec = \"command\"}";
constexpr std::array<std::string_view, 3> kTableKeys{"exec", "timeout", "ignore_failure"};

// A fault of one hook; its key is `hooks` until the caller has said which.
Fault wrong_hook(std::string reason, std::string_view inner = {}) {
    Fault fault = bad_value("hooks", std::move(reason));
    fault.inner = inner;
    return fault;
}

Fault inside(std::optional<Fault> fault, std::string_view inner) {
    fault->key = "hooks";
    fault->inner = inner;
    return std::move(*fault);
}

bool is_function_name(std::string_view name) {
    const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    return !name.empty() && !std::isdigit(static_cast<unsigned char>(name.front())) &&
           std::all_of(name.begin(), name.end(), is_word);
}

Faults read_function(const std::string& text, HookConfig& hook) {
    // A Python name of Circus's has dots and no colon.
    const auto colon = text.rfind(':');
    if (colon == std::string::npos) return {wrong_hook(cat("names no function of a library; ", kForms))};
    hook.library = trim(text.substr(0, colon));
    hook.function = trim(text.substr(colon + 1));
    if (hook.library.empty()) return {wrong_hook(cat("names no library before the colon; ", kForms))};
    if (!is_function_name(hook.function))
        return {wrong_hook(cat("\"", hook.function, "\" is not the name of a function in C; ", kForms))};
    return {};
}

// "lib.so:function" or, as Circus has it, "lib.so:function,true".
Faults read_text_form(const Json& value, HookConfig& hook) {
    std::string text;
    if (auto fault = read_text(value, "hooks", &text)) return {*fault};
    if (const auto comma = text.rfind(','); comma != std::string::npos) {
        const std::string flag = to_lower(trim(text.substr(comma + 1)));
        if (flag != "true" && flag != "false")
            return {wrong_hook("what stands behind the comma, ignore_failure, must be true or false")};
        hook.ignore_failure = flag == "true";
        text.resize(comma);
    }
    return read_function(text, hook);
}

Faults read_array_form(const Json& value, HookConfig& hook) {
    if (value.size() != 2 || !value[0].is_string() || !value[1].is_boolean())
        return {wrong_hook("as an array a hook is [\"library.so:function\", ignore_failure]")};
    std::string text;
    if (auto fault = read_text(value[0], "hooks", &text)) return {*fault};
    hook.ignore_failure = value[1].get<bool>();
    return read_function(text, hook);
}

Faults read_table_form(const Json& value, HookConfig& hook) {
    Faults found;
    for (const auto& [key, member] : value.items()) {
        if (key == "exec") {
            if (auto fault = read_text(member, key, &hook.command))
                found.push_back(inside(std::move(fault), key));
            else if (trim(hook.command).empty())
                found.push_back(wrong_hook("names no program", key));
        } else if (key == "timeout") {
            if (auto fault = read_number(member, key, 0, &hook.timeout))
                found.push_back(inside(std::move(fault), key));
            else if (hook.timeout == 0)
                found.push_back(wrong_hook("no hook answers within no time", key));
        } else if (key == "ignore_failure") {
            if (auto fault = read_bool(member, key, &hook.ignore_failure))
                found.push_back(inside(std::move(fault), key));
        } else {
            Fault fault{Fault::Kind::Unknown, "hooks", {}, ValueType::Text, {}, {}, 3, key};
            fault.text = did_you_mean(key, {kTableKeys.begin(), kTableKeys.end()}).value_or("");
            found.push_back(std::move(fault));
        }
    }
    if (!value.contains("exec"))
        found.push_back(
            {Fault::Kind::Missing, "hooks", {}, ValueType::Text, ", the command to run", {}, 3, "exec"});
    return found;
}

// One hook, whatever it is called.
Faults read_hook(const Json& value, HookConfig& hook) {
    if (value.is_string()) return read_text_form(value, hook);
    if (value.is_array()) return read_array_form(value, hook);
    if (value.is_object()) return read_table_form(value, hook);
    return {wrong_hook(cat("a hook is not ", describe(value), "; ", kForms))};
}

Faults named(Faults found, std::string_view name) {
    for (auto& fault : found) fault.sub_key = name;
    return found;
}

Fault unknown(std::string_view name) {
    std::vector<std::string> points;
    for (std::size_t i = 0; i < model::kHookPoints; ++i)
        points.emplace_back(to_string(static_cast<model::HookPoint>(i)));
    Fault fault{Fault::Kind::Unknown, "hooks", std::string(name), ValueType::Hooks, {}, {}, 3};
    fault.text = did_you_mean(name, points).value_or("");
    return fault;
}

}  // namespace

Faults parse_hooks(Hooks& target, const Json& value, std::string_view key) {
    if (!value.is_object()) {
        Fault fault = wrong_type(key, ValueType::Hooks);
        fault.wire = cat(py_repr(value), " isn't a valid hook dict");
        return {fault};
    }
    Faults found;
    Hooks hooks;
    for (const auto& [name, member] : value.items()) {
        const auto point = model::find_hook_point(name);
        if (!point) {
            Fault fault = unknown(name);
            fault.wire = cat("Unknown hook ", py_repr(value));
            found.push_back(std::move(fault));
            continue;
        }
        for (auto& fault : named(read_hook(member, hooks[*point]), name)) found.push_back(std::move(fault));
    }
    if (found.empty()) target = std::move(hooks);
    return found;
}

Faults parse_hook(Hooks& target, std::string_view name, const Json& value) {
    const auto point = model::find_hook_point(name);
    if (!point) {
        Fault fault = unknown(name);
        fault.wire = cat("Unknown hook ", circus::py_repr(name));
        return {fault};
    }
    if (value.is_null() || value == Json("")) {
        target.erase(*point);
        return {};
    }
    HookConfig hook;
    Faults found = named(read_hook(value, hook), name);
    if (found.empty()) target[*point] = std::move(hook);
    return found;
}

}  // namespace circus::config
