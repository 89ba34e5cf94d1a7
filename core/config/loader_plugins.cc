// The part of Loader that reads [plugin.NAME], the plugins that options of [circus] ask for, and what a
// watcher's section says of a plugin.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/text.hpp"
#include "config/loader.hpp"

namespace circus::config {

namespace {

const std::vector<Row<PluginConfig>>& plugin_rows() {
    using P = PluginConfig;
    const auto read_priority = [](const Json& value, std::string_view key, int* out) {
        long long number = 0;
        auto fault =
            read_int(value, key, {std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}, &number);
        if (!fault) *out = static_cast<int>(number);
        return fault;
    };
    static const std::vector<Row<P>> rows{
        make_row("use", ValueType::Text, &P::use, Effect::Restart,
                 "which plugin: the name of one that is shipped, or the path of a library", read_text,
                 [](const std::string& value) { return value.empty() ? Json() : Json(value); }),
        make_row("isolate", ValueType::Boolean, &P::isolate, Effect::Restart,
                 "runs in a process of its own: what it breaks is only itself", read_bool,
                 [](bool value) { return Json(value); }),
        make_row("active", ValueType::Boolean, &P::active, Effect::Restart,
                 "false: it is known and checked, and not started", read_bool,
                 [](bool value) { return Json(value); }),
        make_row("priority", ValueType::Integer, &P::priority, Effect::Live,
                 "higher starts first and stops last", read_priority, [](int value) { return Json(value); }),
    };
    return rows;
}

ValueType value_type(const std::string& type) {
    if (type == "boolean") return ValueType::Boolean;
    if (type == "integer") return ValueType::Integer;
    if (type == "number") return ValueType::Number;
    if (type == "strings") return ValueType::Strings;
    if (type == "table") return ValueType::Table;
    return ValueType::Text;
}

// The names of the types that a row allows: one, or an array of them.
std::vector<std::string> type_names(const Json& row) {
    const auto type = row.find("type");
    if (type == row.end()) return {"string"};
    return type->is_array() ? type->get<std::vector<std::string>>() : std::vector{type->get<std::string>()};
}

bool has_type(const Json& value, ValueType type) {
    switch (type) {
        case ValueType::Boolean:
            return value.is_boolean();
        case ValueType::Integer:
            return value.is_number_integer();
        case ValueType::Number:
            return value.is_number();
        case ValueType::Strings:
            return value.is_array() &&
                   std::all_of(value.begin(), value.end(), [](const Json& each) { return each.is_string(); });
        case ValueType::Table:
            return value.is_object();
        default:
            return value.is_string();
    }
}

// A value against its row's type, min, max and choices.
std::optional<Fault> check_value(const Json& value, std::string_view key, const Json& row) {
    const auto types = type_names(row);
    const auto fits = [&value](const std::string& type) { return has_type(value, value_type(type)); };
    if (std::none_of(types.begin(), types.end(), fits)) {
        if (types.size() == 1) return wrong_type(key, value_type(types.front()));
        return bad_value(key, cat("must be of the type ", join(types, " or ")));
    }
    if (value.is_number()) {
        if (!std::isfinite(value.get<double>())) return bad_value(key, "must be finite");
        if (const auto low = row.find("min"); low != row.end() && value < *low)
            return bad_value(key, *low == 0 ? "must not be negative" : cat("must be at least ", low->dump()));
        if (const auto high = row.find("max"); high != row.end() && value > *high)
            return bad_value(key, cat("must be at most ", high->dump()));
    }
    const auto choices = row.find("choices");
    if (choices == row.end() || std::find(choices->begin(), choices->end(), value) != choices->end())
        return std::nullopt;
    std::vector<std::string> words;
    for (const auto& choice : *choices) words.push_back(choice.get<std::string>());
    return bad_value(key, cat("must be one of ", join(words, ", ")));
}

// Tables of a watcher that rows say they may stand in, beside the one that has the plugin's name.
std::map<std::string, Json> tables_in(const Json& rows) {
    std::map<std::string, Json> tables;
    for (const auto& [name, row] : rows.items())
        if (const auto table = row.find("table"); table != row.end() && table->is_string())
            tables[table->get<std::string>()][name] = row;
    return tables;
}

std::vector<std::string> names_in(const Json& rows) {
    std::vector<std::string> names;
    for (const auto& row : rows.items()) names.push_back(row.key());
    return names;
}

Fault unknown(const std::string& key, const std::vector<std::string>& names) {
    return {Fault::Kind::Unknown, key, {}, ValueType::Text, did_you_mean(key, names).value_or(""), {}, 3};
}

}  // namespace

const std::vector<OptionInfo>& plugin_options() {
    static const auto list = [] {
        std::vector<OptionInfo> infos;
        for (const auto& row : plugin_rows()) infos.push_back(row.info);
        return infos;
    }();
    return list;
}

void Loader::read_plugin_path() {
    for (auto& folder : out_.config.circus.plugin_path) folder = beside_main_file(folder);
}

// Paths of plugins are relative to the main file, as those of `include` are.
std::string Loader::beside_main_file(const std::string& path) const {
    std::error_code ignored;
    const auto main = std::filesystem::absolute(sources_.files.front(), ignored);
    return (main.parent_path() / path).lexically_normal().string();
}

void Loader::read_plugin(const Entry& section, const std::string& name) {
    PluginConfig plugin;
    plugin.name = section.key;
    Failed failed;
    for (const auto& row : plugin_rows()) {
        const Entry* const option = section.find(row.info.name);
        if (!option) continue;
        const Entry given = substituted(*option, row.info.type, name);
        for (const auto& fault : row.parse(plugin, given.to_json(), option->key)) {
            report(fault, given, name);
            failed.insert(option->key);
        }
    }
    if (failed.contains("use")) return;
    if (plugin.use.empty()) {
        const Entry* const option = section.find("use");
        error(option ? option->at : section.at, file_text({Fault::Kind::Missing,
                                                           "use",
                                                           {},
                                                           {},
                                                           "; the name of a plugin or the path of a library",
                                                           {},
                                                           3},
                                                          name, {}));
        return;
    }
    use_plugin(plugin, &section, name, section.find("use")->at);
}

// Which library it is, and its options by that library's list.
void Loader::use_plugin(PluginConfig& plugin, const Entry* section, const std::string& name, Position at) {
    const bool is_path = plugin.use.find('/') != std::string::npos || plugin.use.ends_with(".so");
    const std::string use = is_path ? beside_main_file(plugin.use) : plugin.use;
    PluginLookup found;
    if (catalog_)
        found = catalog_->find(use, out_.config.circus.plugin_path);
    else
        found.text = "plugins cannot be loaded here";
    if (found.what == PluginLookup::What::Missing) {
        const std::string who = section
                                    ? cat("use = ", toml_text(plugin.use), " in [", name, "]")
                                    : cat("\"", name, "\" in [circus] needs the plugin \"", plugin.use, "\"");
        error(at, cat(who, ": ", found.text));
        return;
    }
    plugin.file = found.file;
    plugin.version = found.version;
    plugin.summary = found.summary;
    // What a library that cannot be used would have offered nobody knows: it is told as broken, no more.
    expects_stream_classes_ |= found.what == PluginLookup::What::Broken || found.has_stream_classes;
    if (found.what == PluginLookup::What::Broken) {
        plugin.unusable = found.text;
        out_.broken_plugins.push_back({sources_.files[static_cast<size_t>(at.file)], at.line, at.column,
                                       cat("plugin ", plugin.name, ": ", found.text), plugin.name});
        plugin_rows_.emplace(to_lower(std::filesystem::path(plugin.use).stem().string()), Json());
        out_.config.plugins.push_back(std::move(plugin));
        return;
    }
    const Json rows = Json::parse(found.options, nullptr, false);
    plugin_rows_.emplace(to_lower(found.name), rows);
    for (auto& [table, those] : tables_in(rows)) plugin_rows_.emplace(to_lower(table), std::move(those));
    const Entry nothing{plugin.name, at, true, {}, {}};
    read_plugin_options(plugin, section ? *section : nothing, name, rows);
    out_.config.plugins.push_back(std::move(plugin));
}

void Loader::read_plugin_options(PluginConfig& plugin, const Entry& section, const std::string& name,
                                 const Json& rows) {
    Json options = plugin.options.empty() ? Json::object() : Json::parse(plugin.options);
    std::vector<std::string> names = names_in(rows);
    for (const auto& row : plugin_rows()) names.emplace_back(row.info.name);
    for (const auto& option : section.entries) {
        const auto is_own = [&option](const auto& row) { return row.info.name == option.key; };
        if (std::any_of(plugin_rows().begin(), plugin_rows().end(), is_own)) continue;
        const auto row = rows.find(option.key);
        if (row == rows.end())
            report(unknown(option.key, names), option, name);
        else if (auto value = plugin_value(option, *row, name))
            options[option.key] = std::move(*value);
    }
    for (const auto& [option, row] : rows.items())
        if (!options.contains(option) && row.contains("default")) options[option] = row["default"];
    plugin.options = options.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Json> Loader::plugin_value(const Entry& option, const Json& row, const std::string& section) {
    // Where a text is allowed, a substitution's result stays one.
    const ValueType type = value_type(type_names(row).back());
    const Entry given = substituted(option, type, section);
    Json value = given.to_json();
    if (type == ValueType::Strings && value.is_string()) value = Json::array({value});
    if (const auto fault = check_value(value, option.key, row)) {
        report(*fault, given, section);
        return std::nullopt;
    }
    return value;
}

// The shipped plugins that options of [circus] stand for, unless a section uses them already.
void Loader::add_implied_plugins() {
    const Entry* const circus = sources_.document.find("circus");
    if (!circus || !circus->is_table) return;
    const auto is_used = [this](std::string_view use) {
        return std::any_of(out_.config.plugins.begin(), out_.config.plugins.end(),
                           [use](const auto& plugin) { return plugin.use == use; });
    };
    const auto imply = [&](const char* use, const Entry& option, const Json& options) {
        if (is_used(use)) return;
        PluginConfig plugin;
        plugin.name = plugin.use = use;
        plugin.options = options.dump();
        use_plugin(plugin, nullptr, option.key, option.at);
    };
    const CircusConfig& config = out_.config.circus;
    const Entry* const statsd = circus->find("statsd");
    const Entry* const endpoint = circus->find("stats_endpoint");
    if (config.statsd)
        imply("stats", *statsd, Json::object());
    else if (endpoint && !statsd && catalog_ &&
             catalog_->find("stats", config.plugin_path).what != PluginLookup::What::Missing)
        // Written for the sake of other tools as well: no reason to refuse the file where there is none.
        imply("stats", *endpoint, Json::object());
    if (config.httpd) {
        const bool is_ipv6 =
            config.httpd_host.find(':') != std::string::npos && config.httpd_host.front() != '[';
        const std::string host = is_ipv6 ? cat("[", config.httpd_host, "]") : config.httpd_host;
        imply("console", *circus->find("httpd"), {{"listen", cat(host, ":", config.httpd_port)}});
    }
}

bool Loader::read_overrides(WatcherConfig& watcher, const Entry& table, const std::string& name) {
    const auto plugin = plugin_rows_.find(to_lower(table.key));
    if (plugin == plugin_rows_.end()) return false;
    const Json& rows = plugin->second;
    const std::string section = cat(name, ".", toml_name(table.key));
    for (const auto& option : table.entries) {
        std::optional<Json> value;
        if (rows.is_null()) {
            value = option.to_json();  // its library cannot be used: nobody knows its options
        } else if (const auto row = rows.find(option.key); row != rows.end()) {
            value = plugin_value(option, *row, section);
        } else {
            report(unknown(option.key, names_in(rows)), option, section);
        }
        if (value)
            watcher.plugin_options[cat(table.key, ".", option.key)] =
                value->dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    return true;
}

}  // namespace circus::config
