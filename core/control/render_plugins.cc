// What circusctl prints of plugins and figures: their tables, the gauges, and the list of commands.
#include <algorithm>
#include <cstdio>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/python_text.hpp"
#include "control/render.hpp"

namespace circus::control {

namespace {

const Json& member(const Json& object, const char* name) {
    static const Json kNothing;
    const auto at = object.is_object() ? object.find(name) : object.end();
    return !object.is_object() || at == object.end() ? kNothing : *at;
}

std::string seconds(const Json& value) {
    if (!value.is_number()) return {};
    char text[32];
    std::snprintf(text, sizeof text, "%.3fs", value.get<double>());
    return text;
}

// Left-aligned, two blanks between; the last column is not filled up.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::vector<std::string> lines;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += i + 1 < row.size() ? row[i] + std::string(widths[i] - row[i].size() + 2, ' ') : row[i];
        while (!line.empty() && line.back() == ' ') line.pop_back();
        lines.push_back(std::move(line));
    }
    return join(lines, "\n");
}

}  // namespace

std::string render_plugins(const Json& answer, const Json&) {
    const Json& plugins = member(answer, "plugins");
    if (!plugins.is_object() || plugins.empty()) return "no plugins";
    std::vector<std::vector<std::string>> rows{
        {"NAME", "STATE", "VERSION", "MODE", "CALLS", "SLOW", "ERRORS", "TIME", "FILE"}};
    std::vector<std::string> troubles;
    for (const auto& [name, plugin] : plugins.items()) {
        std::vector<std::string> row{name};
        for (const char* column : {"state", "version", "mode", "calls", "slow", "errors"})
            row.push_back(str(member(plugin, column)));
        row.push_back(seconds(member(plugin, "time")));
        row.push_back(str(member(plugin, "file")));
        rows.push_back(std::move(row));
        if (const Json& why = member(plugin, "error"); why.is_string())
            troubles.push_back(cat(name, ": ", str(why)));
    }
    std::string text = aligned(rows);
    for (const auto& trouble : troubles) text += "\n" + trouble;
    return text;
}

std::string render_figures(const Json& answer, const Json&) {
    const Json& watchers = member(answer, "watchers");
    if (!watchers.is_object() || watchers.empty()) return "no watchers";
    const auto count = [](const Json& of, const char* name) {
        return of.is_object() && of.contains(name) && of.at(name).is_number() ? of.at(name).get<long long>()
                                                                              : 0;
    };
    std::vector<std::vector<std::string>> rows{{"NAME", "STATUS", "RUNNING", "READY", "WANTED", "SPAWNED",
                                                "DIED", "REPLACED", "WRITTEN", "DROPPED"}};
    for (const auto& [name, watcher] : watchers.items()) {
        long long died = 0, replaced = 0;
        for (const Json& ends : member(watcher, "ended")) died += count(ends, "unasked");
        for (const Json& each : member(watcher, "replaced")) replaced += each.get<long long>();
        const auto both = [&, &row = watcher](const char* what) {
            return std::to_string(count(member(row, "stdout"), what) + count(member(row, "stderr"), what));
        };
        rows.push_back({name, str(member(watcher, "status")), std::to_string(member(watcher, "pids").size()),
                        str(member(watcher, "ready")), str(member(watcher, "wanted")),
                        str(member(watcher, "spawned")), std::to_string(died), std::to_string(replaced),
                        both("bytes"), both("dropped")});
    }
    return aligned(rows);
}

std::string render_gauges(const Json& answer, const Json& asked) {
    const Json& gauges = member(answer, "gauges");
    if (!gauges.is_object()) return "ok";
    std::vector<std::string> lines;
    const auto add = [&lines](const Json& of, const std::string& before) {
        for (const auto& [name, gauge] : of.items())
            lines.push_back(cat(before, name, ": ", str(member(gauge, "value")), " (",
                                seconds(member(gauge, "age")), " ago, by ", str(member(gauge, "by")), ")"));
    };
    if (asked.is_object() && asked.contains("watcher"))
        add(gauges, {});
    else
        for (const auto& [watcher, of] : gauges.items()) add(of, watcher + " ");
    return lines.empty() ? "no gauges" : join(lines, "\n");
}

std::string render_commands(const Json& answer, const Json&) {
    const Json& commands = member(answer, "commands");
    if (!commands.is_object()) return {};
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, row] : commands.items()) {
        const Json& plugin = member(row, "plugin");
        rows.push_back({str(member(row, "usage")),
                        cat(str(member(row, "summary")),
                            plugin.is_string() ? cat(" (plugin ", str(plugin), ")") : std::string())});
    }
    return aligned(rows);
}

}  // namespace circus::control
