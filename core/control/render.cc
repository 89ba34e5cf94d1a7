#include "control/render.hpp"

#include <ctime>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/python_text.hpp"

namespace circus::control {

namespace {

std::string comma_list(const Json& values) {
    std::vector<std::string> texts;
    for (const auto& value : values) texts.push_back(str(value));
    return join(texts, ",");
}

std::string number_of(const Json& answer, const char* name) {
    const Json& value = field(answer, name);
    return value.is_null() ? "ok" : str(value);
}

std::string option_line(const std::string& key, const Json& value) {
    return cat(key, ": ", option_text(key, value));
}

// PID  cmdline user nice mem1 mem2 cpu mem ctime; or the text that stands for a process that vanished.
std::string info_line(const Json& info) {
    if (!info.is_object()) return str(info);
    const auto show = [&info](const char* name) { return str(field(info, name)); };
    const std::string line = cat(show("pid"), "  ", show("cmdline"), " ", show("username"), " ", show("nice"),
                                 " ", show("mem_info1"), " ", show("mem_info2"), " ", show("cpu"), " ",
                                 show("mem"), " ", show("ctime"));
    if (field(info, "threads").is_null()) return line;  // nobody has asked for details
    const auto known = [&info](const char* name, const auto& words) {
        const Json& figure = field(info, name);
        return figure.is_number() ? words(figure) : std::string("-");
    };
    const auto in_bytes = [](const Json& figure) { return human_bytes(figure.get<double>()); };
    return cat(line, "  threads ", show("threads"), " fds ",
               known("fds", [](const Json& figure) { return str(figure); }), " pss ", known("pss", in_bytes));
}

std::string with_children(const Json& info) {
    std::string text = info_line(info);
    const Json& children = field(info, "children");
    if (children.is_array())
        for (const auto& child : children) text += "\n   " + info_line(child);
    return text;
}

void append_watcher(std::vector<std::string>& lines, const std::string& name, const Json& processes) {
    lines.push_back(name + ":");
    for (const auto& [pid, info] : by_pid(processes)) lines.push_back(cat(pid, ": ", with_children(*info)));
}

}  // namespace

std::string render_ok(const Json&, const Json&) {
    return "ok";
}

std::string render_list(const Json& answer, const Json&) {
    const Json& pids = field(answer, "pids");
    return comma_list(pids.is_null() ? field(answer, "watchers") : pids);
}

std::string render_logs(const Json& answer, const Json& asked) {
    const bool prefix = is_true(field(asked, "prefix"));
    std::vector<std::string> lines;
    for (const auto& line : field(answer, "lines")) {
        if (prefix && field(line, "time").is_number()) {
            const auto seconds = static_cast<time_t>(field(line, "time").get<double>());
            tm local{};
            localtime_r(&seconds, &local);
            char stamp[64];
            const std::size_t n = std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &local);
            lines.push_back(cat(std::string_view(stamp, n), " [", str(field(line, "pid")), "] | ",
                                str(field(line, "text"))));
        } else {
            lines.push_back(str(field(line, "text")));
        }
    }
    return join(lines, "\n");
}

std::string render_status(const Json& answer, const Json&) {
    const Json& statuses = field(answer, "statuses");
    if (!statuses.is_object()) return str(field(answer, "status"));
    std::vector<std::string> lines;
    for (const auto& [name, state] : statuses.items()) lines.push_back(cat(name, ": ", str(state)));
    return join(lines, "\n");
}

std::string render_numwatchers(const Json& answer, const Json&) {
    return number_of(answer, "numwatchers");
}

std::string render_numprocesses(const Json& answer, const Json&) {
    return number_of(answer, "numprocesses");
}

std::string render_count(const Json& answer, const Json&) {
    if (is_true(field(answer, "singleton")))
        return "This watcher is a Singleton - not changing the number of processes";
    return number_of(answer, "numprocesses");
}

std::string render_options(const Json& answer, const Json&) {
    const Json& options = field(answer, "options");
    std::vector<std::string> lines;
    if (options.is_object())
        for (const auto& [key, value] : options.items()) lines.push_back(option_line(key, value));
    return join(lines, "\n");
}

std::string render_get(const Json& answer, const Json& asked) {
    std::vector<std::string> lines;
    for (const auto& [key, value] : options_asked(answer, asked)) lines.push_back(option_line(key, *value));
    return join(lines, "\n");
}

std::string render_sockets(const Json& answer, const Json&) {
    std::vector<std::string> lines;
    for (const auto& socket : field(answer, "sockets")) {
        const std::string name = repr(field(socket, "name"));
        std::string line = cat(str(field(socket, "fd")), ":socket ", name, " at ", address_of(socket));
        if (const Json& figures = field(socket, "figures"); figures.is_object()) {
            const auto add = [&](const char* what, const char* key) {
                if (!field(figures, key).is_null()) line += cat("  ", what, " ", str(field(figures, key)));
            };
            add("queue", "queue");
            add("of", "limit");
            add("in flight", "in_flight");
            add("accepted", "accepted");
            add("drops", "drops");
            add("steered by", "steering");
            if (const Json& why = field(field(figures, "absent"), "steering"); !why.is_null())
                line += cat(" (", str(why), ")");
        }
        lines.push_back(std::move(line));
    }
    return join(lines, "\n");
}

std::string render_stats(const Json& answer, const Json&) {
    std::vector<std::string> lines;
    const Json& infos = field(answer, "infos");
    if (infos.is_object()) {
        for (const auto& [name, processes] : infos.items()) append_watcher(lines, name, processes);
    } else if (const Json& name = field(answer, "name"); !name.is_null()) {
        append_watcher(lines, str(name), field(answer, "info"));
    } else {
        return cat(str(field(answer, "process")), ": ", with_children(field(answer, "info")), "\n");
    }
    return join(lines, "\n");
}

std::string render_plan(const Json& answer, const Json& asked) {
    const Json& plan = field(answer, "plan");
    if (!plan.is_object()) return "ok";
    std::vector<std::string> lines;
    if (!is_true(field(asked, "dry_run"))) lines.emplace_back("ok");
    // The order of the work, and whatever else there is behind it.
    static constexpr const char* kOrder[] = {"circus",  "sockets",   "plugins", "stopped",
                                             "updated", "restarted", "started", "kept"};
    for (const char* what : kOrder) {
        const Json& entries = field(plan, what);
        if (!entries.is_object()) continue;
        for (const auto& [name, why] : entries.items()) {
            const std::string reason = str(why);
            lines.push_back(cat(what, " ", name, reason.empty() ? "" : cat(": ", reason)));
        }
    }
    const Json& warnings = field(plan, "warnings");
    if (warnings.is_array())
        for (const auto& warning : warnings) lines.push_back(cat("warning ", str(warning)));
    return join(lines, "\n");
}

std::string render_dstats(const Json& answer, const Json&) {
    return "Main Process:\n    " + info_line(field(answer, "info"));
}

}  // namespace circus::control
