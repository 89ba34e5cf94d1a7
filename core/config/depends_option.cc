// `depends_on`: an array of names, or a table {name = "started" | "ready" | "completed"}; and sizes in bytes.
#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_row_impl.hpp"

namespace circus::config {
namespace {

using Until = Dependency::Until;

constexpr std::array<std::pair<std::string_view, Until>, 3> kUntil = {
    {{"started", Until::Started}, {"ready", Until::Ready}, {"completed", Until::Completed}}};

std::string_view word_of(Until until) {
    for (const auto& [word, meaning] : kUntil)
        if (meaning == until) return word;
    return {};
}

std::optional<Fault> add_dependency(std::vector<Dependency>& to, const std::string& name, Until until,
                                    std::string_view key) {
    if (trim(name).empty()) return bad_value(key, "holds an empty name");
    const bool twice = std::any_of(to.begin(), to.end(), [&name](const Dependency& other) {
        return equals_ignoring_case(other.name, name);
    });
    if (twice) return bad_value(key, cat("names ", name, " twice"));
    to.push_back({name, until});
    return std::nullopt;
}

std::optional<Fault> read_until(const Json& value, std::string_view key, const std::string& name,
                                Until* until) {
    const auto* const text = value.is_string() ? &value.get_ref<const std::string&>() : nullptr;
    for (const auto& [word, meaning] : kUntil) {
        if (!text || *text != word) continue;
        *until = meaning;
        return std::nullopt;
    }
    Fault fault = bad_value(key, "must be \"started\", \"ready\" or \"completed\"");
    fault.sub_key = name;
    return fault;
}

std::optional<Fault> read_depends(const Json& value, std::string_view key, std::vector<Dependency>* out) {
    if (value.is_null()) return std::nullopt;
    if (value.is_array()) {
        for (const auto& name : value) {
            if (!name.is_string()) return wrong_type(key, ValueType::Depends);
            if (auto fault = add_dependency(*out, name.get<std::string>(), Until::Ready, key)) return fault;
        }
        return std::nullopt;
    }
    if (!value.is_object()) return wrong_type(key, ValueType::Depends);
    for (const auto& [name, word] : value.items()) {
        Until until{};
        if (auto fault = read_until(word, key, name, &until)) return fault;
        if (auto fault = add_dependency(*out, name, until, key)) return fault;
    }
    return std::nullopt;
}

Json depends_to_json(const std::vector<Dependency>& depends) {
    const bool plain = std::all_of(depends.begin(), depends.end(),
                                   [](const Dependency& on) { return on.until == Until::Ready; });
    Json names = Json::array();
    Json table = Json::object();
    for (const Dependency& on : depends) {
        names.push_back(on.name);
        table[on.name] = word_of(on.until);
    }
    return plain ? names : table;
}

// "200M", "1.5 GiB", "4096": by 1024, whatever the unit is called.
std::optional<unsigned long long> bytes_of(std::string_view text) {
    constexpr std::string_view kUnits = "kmgtpe";
    text = trim(text);
    std::string unit;
    const auto end = std::min(text.find_first_not_of("0123456789."), text.size());
    unit = to_lower(trim(text.substr(end)));
    const auto number = parse_number(text.substr(0, end));
    if (!number || *number < 0) return std::nullopt;
    if (unit.ends_with("ib"))
        unit.resize(unit.size() - 2);
    else if (unit.ends_with('b'))
        unit.resize(unit.size() - 1);
    double factor = 1;
    if (unit.size() == 1 && kUnits.find(unit[0]) != std::string_view::npos)
        factor = std::pow(1024.0, static_cast<double>(kUnits.find(unit[0]) + 1));
    else if (!unit.empty())
        return std::nullopt;
    const double bytes = *number * factor;
    if (bytes > 9e18) return std::nullopt;
    return static_cast<unsigned long long>(bytes);
}

std::optional<Fault> read_size(const Json& value, std::string_view key, ByteSize* out) {
    *out = {};
    if (value.is_null()) return std::nullopt;
    if (value.is_string()) {
        out->written = value.get<std::string>();
        const auto bytes = bytes_of(out->written);
        if (!bytes) return bad_value(key, "is no size; write it like \"200M\"");
        out->bytes = *bytes;
    } else if (value.is_number_integer()) {
        long long bytes = 0;
        if (auto fault = read_int(value, key, {0, std::numeric_limits<long long>::max()}, &bytes))
            return fault;
        out->bytes = static_cast<unsigned long long>(bytes);
    } else {
        return wrong_type(key, ValueType::Size);
    }
    if (out->bytes == 0) return bad_value(key, "must be more than nothing");
    return std::nullopt;
}

}  // namespace

Row<WatcherConfig> depends_row() {
    return make_row("depends_on", ValueType::Depends, &WatcherConfig::depends_on, Effect::Live,
                    "watchers that must be ready before this one starts, and are stopped after it: their "
                    "names, or {name = \"started\"}, \"ready\" or \"completed\" (it ended with 0)",
                    read_depends, depends_to_json);
}

Row<WatcherConfig> size_row(std::string_view name, ByteSize WatcherConfig::*field, std::string_view doc) {
    return make_row(name, ValueType::Size, field, Effect::Live, doc, read_size,
                    [](const ByteSize& size) -> Json {
                        if (size.bytes == 0) return {};
                        return size.written.empty() ? Json(size.bytes) : Json(size.written);
                    });
}

}  // namespace circus::config
