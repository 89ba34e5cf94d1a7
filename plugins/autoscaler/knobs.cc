#include "knobs.hpp"

#include <algorithm>
#include <string_view>

#include <circus/plugin.hpp>
#include <circus/values.hpp>

#include "options.hpp"

namespace autoscaler {

namespace {

const Json& option_table() {
    static const Json table = Json::parse(kOptions);
    return table;
}

bool has_type(const Json& value, const Json& type) {
    if (type.is_array())
        return std::any_of(type.begin(), type.end(), [&](const Json& each) { return has_type(value, each); });
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.is_boolean();
    return value.is_string();
}

Time seconds_in(const Json& options, const char* name) {
    constexpr double kLongest = 1e9;
    const std::chrono::duration<double> seconds(std::min(options.at(name).get<double>(), kLongest));
    return std::chrono::duration_cast<Time>(seconds);
}

circus::Failure wrong(const Json& options, const char* name, const std::string& why) {
    return {CIRCUS_E_INVALID,
            "the option \"" + std::string(name) + "\" is " + options.at(name).dump() + ": " + why};
}

}  // namespace

std::optional<double> number_in(const Json& options, const char* name) {
    const auto at = options.find(name);
    return at != options.end() && at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

std::string problem_of(const std::string& name, const Json& value) {
    const auto row = option_table().find(name);
    if (row == option_table().end()) return "there is no option \"" + name + "\"";
    const std::string what = "\"" + name + "\" must be ";
    if (!has_type(value, row->at("type"))) {
        const Json& type = row->at("type");
        return what + "of the type " + (type.is_array() ? "integer or string" : type.get<std::string>());
    }
    if (!value.is_number()) return {};
    if (row->contains("min") && value < row->at("min")) return what + "at least " + row->at("min").dump();
    if (row->contains("max") && value > row->at("max")) return what + "at most " + row->at("max").dump();
    return {};
}

Json table_in(const Json& options) {
    Json table = Json::object();
    for (const std::string_view prefix : {std::string_view("autoscaler."), std::string_view("autoscale.")})
        for (const auto& [key, value] : options.items())
            if (key.starts_with(prefix)) table[key.substr(prefix.size())] = value;
    return table;
}

Knobs read_knobs(const Json& options) {
    Knobs knobs;
    Settings& settings = knobs.settings;
    settings.min = options.at("min").get<int>();
    settings.max = options.at("max").get<int>();
    if (settings.max < settings.min)
        throw wrong(options, "max", "less than \"min\", " + options.at("min").dump());
    settings.concurrency = options.at("concurrency").get<double>();
    settings.target = options.at("target").get<double>();
    settings.spare = options.at("spare").get<int>();
    settings.cpu_target = number_in(options, "cpu_target");
    settings.external_target = number_in(options, "external_target");
    settings.latency_target = number_in(options, "latency_target");
    settings.down_window = seconds_in(options, "down_window");
    if (const auto at = options.find("memory_limit"); at != options.end()) {
        settings.memory_limit = circus::bytes_of(*at);
        if (!settings.memory_limit) throw wrong(options, "memory_limit", "no amount; write bytes or \"2G\"");
    }
    knobs.external = options.at("external").get<std::string>();
    if (knobs.external.empty() == settings.external_target.has_value())
        throw wrong(options, "external", "\"external\" and \"external_target\" go together");
    knobs.latency = options.at("latency").get<std::string>();
    knobs.boot_time = seconds_in(options, "boot_time");
    knobs.max_age = seconds_in(options, "max_age");
    knobs.drain = options.at("drain").get<double>();
    knobs.dry_run = options.at("dry_run").get<bool>();
    return knobs;
}

}  // namespace autoscaler
