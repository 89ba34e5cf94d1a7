// Knobs: the options of one watcher, read: the plugin's section, the watcher's `autoscale` table over it, and
// what an operator has set since over both. Pure.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "load.hpp"
#include "policy.hpp"

namespace autoscaler {

using Json = nlohmann::json;

struct Knobs {
    Settings settings;
    std::string external;  // a gauge of the watcher; empty: none
    std::string latency;   // the same, in ms
    Time boot_time{};      // until it is measured
    Time max_age{};        // of a gauge
    double drain = 0;      // seconds
    bool dry_run = false;
};

// `options`: complete, with the names of kOptions. Throws circus::Failure that names the option.
Knobs read_knobs(const Json& options);

// What the options of a watcher have of the autoscaler, in either spelling.
Json table_in(const Json& options);

// Empty: there is no such member, or it is no number.
std::optional<double> number_in(const Json& object, const char* name);

// What is written in the watcher's table, or set by an operator, as an option of that name; empty: it is
// good.
std::string problem_of(const std::string& name, const Json& value);

}  // namespace autoscaler
