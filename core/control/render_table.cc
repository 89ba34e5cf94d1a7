#include "control/render_table.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/python_text.hpp"
#include "control/table.hpp"

namespace circus::control {

namespace {

Cell state_cell(const std::string& state) {
    if (state == "active") return {state, Colour::Green};
    if (state == "stopped") return {state, Colour::Red};
    return {state, Colour::Yellow};  // starting, stopping
}

void add_option(Table& table, const std::string& key, const Json& value) {
    const bool is_flag = value.is_boolean();
    const Colour colour = is_flag ? (value.get<bool>() ? Colour::Green : Colour::Dim) : Colour::None;
    table.add({key, {option_text(key, value), colour}});
}

Table options_table() {
    return Table({{"OPTION"}, {"VALUE"}});
}

// PID COMMAND USER NICE RSS VSZ CPU% MEM% TIME of one process, and what is below it one step further in.
void add_process(Table& table, const std::string& watcher, const std::string& pid, const Json& info,
                 std::size_t depth) {
    const std::string indented = std::string(depth * 2, ' ') + pid;
    if (!info.is_object()) {  // it vanished
        table.add({{watcher, Colour::Cyan}, indented, {str(info), Colour::Dim}});
        return;
    }
    const auto show = [&info](const char* name) { return Cell(str(field(info, name))); };
    std::vector<Cell> row = {
        {watcher, Colour::Cyan}, indented,          show("cmdline"), show("username"), show("nice"),
        show("mem_info1"),       show("mem_info2"), show("cpu"),     show("mem"),      show("ctime")};
    if (const Json& threads = field(info, "threads"); threads.is_number()) {
        const Json &fds = field(info, "fds"), &pss = field(info, "pss");
        row.push_back(show("threads"));
        row.emplace_back(fds.is_number() ? str(fds) : "-");
        row.emplace_back(pss.is_number() ? human_bytes(pss.get<double>()) : "-");
    }
    table.add(std::move(row));
    const Json& children = field(info, "children");
    if (!children.is_array() || depth > 0) return;  // as Circus: children, not theirs
    for (const auto& child : children) add_process(table, "", str(field(child, "pid")), child, depth + 1);
}

void add_watcher(Table& table, const std::string& name, const Json& processes) {
    const auto rows = by_pid(processes);
    if (rows.empty()) table.add({{name, Colour::Cyan}});
    std::string title = name;
    for (const auto& [pid, info] : rows) {
        add_process(table, title, pid, *info, 0);
        title.clear();
    }
}

}  // namespace

std::string table_list(const Json& answer, const Json&, const Look& look) {
    const Json& pids = field(answer, "pids");
    std::vector<std::string> words;
    for (const auto& word : pids.is_null() ? field(answer, "watchers") : pids) words.push_back(str(word));
    return side_by_side(words, look);
}

std::string table_status(const Json& answer, const Json&, const Look& look) {
    const Json& statuses = field(answer, "statuses");
    if (!statuses.is_object()) {
        const Cell state = state_cell(str(field(answer, "status")));
        return coloured(state.text, state.colour, look);
    }
    Table table({{"WATCHER"}, {"STATUS"}});
    for (const auto& [name, state] : statuses.items()) table.add({name, state_cell(str(state))});
    return table.text(look);
}

std::string table_options(const Json& answer, const Json&, const Look& look) {
    Table table = options_table();
    const Json& options = field(answer, "options");
    if (options.is_object())
        for (const auto& [key, value] : options.items()) add_option(table, key, value);
    return table.text(look);
}

std::string table_get(const Json& answer, const Json& asked, const Look& look) {
    Table table = options_table();
    for (const auto& [key, value] : options_asked(answer, asked)) add_option(table, key, *value);
    return table.text(look);
}

std::string table_sockets(const Json& answer, const Json&, const Look& look) {
    const Json& sockets = field(answer, "sockets");
    const bool figures = std::any_of(sockets.begin(), sockets.end(),
                                     [](const Json& socket) { return field(socket, "figures").is_object(); });
    std::vector<Column> columns = {{"FD", true}, {"SOCKET"}, {"ADDRESS"}, {"BACKLOG", true}};
    std::vector<std::pair<const char*, const char*>> more = {{"QUEUE", "queue"},
                                                             {"LIMIT", "limit"},
                                                             {"IN FLIGHT", "in_flight"},
                                                             {"ACCEPTED", "accepted"},
                                                             {"DROPS", "drops"}};
    if (std::any_of(sockets.begin(), sockets.end(), [](const Json& socket) {
            return !field(field(socket, "figures"), "steering").is_null();
        }))
        more.emplace_back("STEERING", "steering");
    if (figures)
        for (const auto& [title, key] : more) columns.push_back({title, true});
    Table table(columns);
    for (const auto& socket : sockets) {
        std::vector<Cell> row = {{str(field(socket, "fd"))},
                                 {str(field(socket, "name")), Colour::Cyan},
                                 {address_of(socket)},
                                 {str(field(socket, "backlog"))}};
        if (figures)
            for (const auto& [title, key] : more) {
                const Json& figure = field(field(socket, "figures"), key);
                row.push_back({figure.is_null() ? "-" : str(figure)});
            }
        table.add(std::move(row));
    }
    return table.text(look);
}

std::string table_stats(const Json& answer, const Json& asked, const Look& look) {
    std::vector<Column> columns = {{"WATCHER"},    {"PID"},       {"COMMAND"},   {"USER"},
                                   {"NICE", true}, {"RSS", true}, {"VSZ", true}, {"CPU%", true},
                                   {"MEM%", true}, {"TIME", true}};
    if (is_true(field(asked, "details")))
        for (const char* title : {"THREADS", "FDS", "PSS"}) columns.push_back({title, true});
    Table table(columns);
    const Json& infos = field(answer, "infos");
    const Json& info = field(answer, "info");
    if (infos.is_object()) {
        for (const auto& [name, processes] : infos.items()) add_watcher(table, name, processes);
    } else if (const Json& name = field(answer, "name"); !name.is_null()) {
        add_watcher(table, str(name), info);
    } else {
        // Of one process, or circusd itself.
        const Json& process = field(answer, "process");
        add_process(table, process.is_null() ? "circusd" : "",
                    str(process.is_null() ? field(info, "pid") : process), info, 0);
    }
    return table.text(look);
}

}  // namespace circus::control
