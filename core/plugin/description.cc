#include "plugin/description.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"

namespace circus::plugin {

namespace {

static_assert(sizeof(circus_plugin) == kSmallestPlugin, "of 1.0; a later minor has a size of its own");

constexpr std::array<std::string_view, 6> kTypes{"boolean", "integer", "number",
                                                 "string",  "strings", "table"};

std::string in_quotes(std::string_view text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Empty: a row that can be used.
std::string row_problem(const Json& row) {
    if (!row.is_object()) return "is no object";
    const auto type = row.find("type");
    if (type == row.end() || !(type->is_string() || type->is_array()) || type->empty())
        return "has no \"type\"";
    const auto is_known = [](const Json& each) {
        return each.is_string() &&
               std::find(kTypes.begin(), kTypes.end(), each.get_ref<const std::string&>()) != kTypes.end();
    };
    const Json types = type->is_array() ? *type : Json::array({*type});
    if (!std::all_of(types.begin(), types.end(), is_known)) return cat("has the type ", type->dump());
    for (const char* bound : {"min", "max"})
        if (row.contains(bound) && !row[bound].is_number())
            return cat("has a \"", bound, "\" that is no number");
    const auto choices = row.find("choices");
    if (choices != row.end() &&
        (!choices->is_array() ||
         std::any_of(choices->begin(), choices->end(), [](const Json& each) { return !each.is_string(); })))
        return "has \"choices\" that are no array of strings";
    return {};
}

Status check_options(const std::string& text) {
    constexpr std::string_view kExpected =
        "a JSON object of {\"type\": boolean, integer, number, string, strings or table, …}";
    const Json rows = parse_json(text);
    if (!rows.is_object())
        return Error{fault("options", rows.is_discarded() ? "no JSON" : "no object", kExpected)};
    for (const auto& [name, row] : rows.items())
        if (const std::string problem = row_problem(row); !problem.empty())
            return Error{fault("options", cat(in_quotes(name), " ", problem), kExpected)};
    return Ok{};
}

}  // namespace

std::string fault(std::string_view step, std::string_view found, std::string_view expected) {
    return cat(step, ": found ", found, ", expected ", expected);
}

Result<Description> read_description(const circus_plugin& table, const std::vector<std::string>& offered) {
    Description out;
    out.size = table.size;
    // The version comes right behind the size, in every version.
    if (table.size < offsetof(circus_plugin, name) + sizeof(table.name))
        return Error{fault("size", cat(table.size, " bytes"), cat("at least ", kSmallestPlugin))};
    out.major = table.abi_major;
    out.minor = table.abi_minor;
    if (table.abi_major != CIRCUS_ABI_MAJOR)
        return Error{
            fault("version", cat("ABI ", out.major, ".", out.minor), cat("ABI ", CIRCUS_ABI_MAJOR, ".x"))};
    if (table.size < kSmallestPlugin)
        return Error{fault("size", cat(table.size, " bytes"), cat("at least ", kSmallestPlugin))};
    const std::pair<const char*, const char*> texts[] = {
        {"name", table.name}, {"version", table.version}, {"summary", table.summary}};
    for (const auto& [what, text] : texts)
        if (!text || !*text) return Error{fault("constants", cat("no ", what), "name, version and summary")};
    out.name = table.name;
    out.version = table.version;
    out.summary = table.summary;
    const std::pair<const char*, bool> functions[] = {{"create", table.create != nullptr},
                                                      {"start", table.start != nullptr},
                                                      {"stop", table.stop != nullptr},
                                                      {"destroy", table.destroy != nullptr}};
    for (const auto& [what, there] : functions)
        if (!there) return Error{fault("functions", cat("no ", what), "create, start, stop and destroy")};
    for (const char* const* need = table.needs; need && *need; ++need) {
        out.needs.emplace_back(*need);
        if (std::find(offered.begin(), offered.end(), *need) == offered.end())
            return Error{fault("needs", *need, cat("one of ", join(offered, ", ")))};
    }
    if (table.options) out.options = table.options;
    if (const Status sound = check_options(out.options); !sound) return sound.error();
    return out;
}

Json to_json(const Description& d) {
    return {{"abi", {d.major, d.minor}},
            {"size", d.size},
            {"name", d.name},
            {"version", d.version},
            {"summary", d.summary},
            {"needs", d.needs},
            {"options", Json::parse(d.options, nullptr, false)}};
}

Result<Description> description_from(const Json& json) {
    try {
        Description d;
        d.major = json.at("abi").at(0).get<int>();
        d.minor = json.at("abi").at(1).get<int>();
        d.size = json.at("size").get<std::uint32_t>();
        d.name = json.at("name").get<std::string>();
        d.version = json.at("version").get<std::string>();
        d.summary = json.at("summary").get<std::string>();
        d.needs = json.at("needs").get<std::vector<std::string>>();
        d.options = json.at("options").dump();
        return d;
    } catch (const Json::exception& wrong) {
        return Error{wrong.what()};
    }
}

}  // namespace circus::plugin
