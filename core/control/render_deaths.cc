// What circusctl prints of processes that have ended: the oldest first, so that what was last is nearest to
// the prompt.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/python_text.hpp"
#include "control/render.hpp"
#include "control/render_table.hpp"
#include "control/table.hpp"

namespace circus::control {

namespace {

struct Named {
    std::string watcher;
    const Json* record;
};

double number(const Json& record, const char* name) {
    const Json& value = field(record, name);
    return value.is_number() ? value.get<double>() : 0;
}

// Of one watcher, or of all: then by the time, whosever they are.
std::vector<Named> records_of(const Json& answer) {
    std::vector<Named> records;
    const auto add = [&records](const std::string& watcher, const Json& deaths) {
        if (deaths.is_array())
            for (const Json& record : deaths) records.push_back({watcher, &record});
    };
    const Json& watchers = field(answer, "watchers");
    if (watchers.is_object())
        for (const auto& [name, of] : watchers.items()) add(name, field(of, "deaths"));
    else
        add(str(field(answer, "name")), field(answer, "deaths"));
    std::stable_sort(records.begin(), records.end(), [](const Named& a, const Named& b) {
        return number(*a.record, "time") < number(*b.record, "time");
    });
    return records;
}

std::string stamp_of(const Json& record) {
    const auto seconds = static_cast<time_t>(std::clamp(number(record, "time"), 0.0, 1e11));
    tm local{};
    localtime_r(&seconds, &local);
    char stamp[64];
    return {stamp, std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &local)};
}

// 0.4s, 12s, 3m05s, 2h10m, 4d03h.
std::string span_of(double seconds) {
    char text[32];
    const auto whole = static_cast<long long>(std::clamp(seconds, 0.0, 1e15));
    if (seconds < 10)
        std::snprintf(text, sizeof text, "%.1fs", std::max(0.0, seconds));
    else if (whole < 60)
        std::snprintf(text, sizeof text, "%llds", whole);
    else if (whole < 3600)
        std::snprintf(text, sizeof text, "%lldm%02llds", whole / 60, whole % 60);
    else if (whole < 86400)
        std::snprintf(text, sizeof text, "%lldh%02lldm", whole / 3600, whole / 60 % 60);
    else
        std::snprintf(text, sizeof text, "%lldd%02lldh", whole / 86400, whole / 3600 % 24);
    return text;
}

std::string cpu_of(const Json& record) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2fs", number(record, "cpu_user") + number(record, "cpu_system"));
    return text;
}

bool is_failed_spawn(const Json& record) {
    return str(field(record, "reason")) == "not_started";
}

std::string outcome_of(const Json& record) {
    if (is_failed_spawn(record)) return "not started";
    const Json& signal = field(record, "signal");
    if (!signal.is_string()) return cat("exit ", str(field(record, "exit_code")));
    return cat(str(signal), is_true(field(record, "core")) ? " (core)" : "");
}

// In words, as far as it is known.
std::string reason_of(const Json& record) {
    const std::string reason = str(field(record, "reason"));
    if (is_failed_spawn(record)) {
        const double times = number(record, "times");
        const std::string often = times > 1 ? cat(" (", static_cast<long long>(times), " times)") : "";
        return cat(str(field(record, "why")), often);
    }
    if (const Json& why = field(record, "why"); why.is_string()) return cat(reason, ": ", str(why));
    if (reason == "killed" && field(record, "oom").is_null()) return "killed, perhaps out of memory";
    if (reason == "oom") return "out of memory";
    return reason;
}

std::vector<std::string> written_by(const Json& record) {
    std::vector<std::string> lines;
    const Json& written = field(record, "stderr");
    if (written.is_array())
        for (const Json& line : written) lines.push_back(str(line));
    return lines;
}

std::string last_line_of(const Json& record) {
    auto lines = written_by(record);
    return lines.empty() ? std::string() : std::move(lines.back());
}

Colour colour_of(const std::string& reason) {
    if (reason == "crash" || reason == "oom" || reason == "killed" || reason == "not_started")
        return Colour::Red;
    if (reason == "asked" || reason == "max_age") return Colour::Dim;
    return Colour::Yellow;
}

// At the end of a line of a table, as much as there is room for.
std::string shortened(std::string text, std::size_t room) {
    if (columns_of(text) <= room) return text;
    std::string out;
    for (std::size_t i = 0, columns = 0; i < text.size(); ++i) {
        const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
        if (begins && ++columns + 3 > room) break;
        out += text[i];
    }
    return out + "...";
}

}  // namespace

std::string render_deaths(const Json& answer, const Json& asked) {
    const bool with_lines = is_true(field(asked, "stderr"));
    std::vector<std::string> lines;
    for (const auto& [watcher, record] : records_of(answer)) {
        if (is_failed_spawn(*record)) {
            lines.push_back(cat(stamp_of(*record), "  ", watcher, "  wid ", str(field(*record, "wid")), "  ",
                                outcome_of(*record), "  ", reason_of(*record)));
            continue;
        }
        lines.push_back(cat(stamp_of(*record), "  ", watcher, "  wid ", str(field(*record, "wid")), "  pid ",
                            str(field(*record, "pid")), "  ", outcome_of(*record), "  ", reason_of(*record),
                            "  after ", span_of(number(*record, "age")), "  max RSS ",
                            human_bytes(number(*record, "max_rss")), "  CPU ", cpu_of(*record)));
        if (!with_lines) continue;
        for (const auto& line : written_by(*record)) lines.push_back("    " + line);
    }
    return join(lines, "\n");
}

std::string table_deaths(const Json& answer, const Json& asked, const Look& look) {
    constexpr std::size_t kLeastRoom = 24, kMostRoom = 60;
    const bool with_lines = is_true(field(asked, "stderr"));
    std::vector<Column> columns = {{"WHEN"},   {"WATCHER"},   {"WID", true},     {"PID", true}, {"END"},
                                   {"REASON"}, {"AGE", true}, {"MAX RSS", true}, {"CPU", true}};
    if (!with_lines) columns.push_back({"LAST ON STDERR"});
    Table table(columns);
    const auto records = records_of(answer);
    for (const auto& [watcher, record] : records) {
        const Colour colour = colour_of(str(field(*record, "reason")));
        std::vector<Cell> row = {stamp_of(*record),
                                 {watcher, Colour::Cyan},
                                 str(field(*record, "wid")),
                                 is_failed_spawn(*record) ? "-" : str(field(*record, "pid")),
                                 {outcome_of(*record), colour},
                                 {reason_of(*record), colour},
                                 is_failed_spawn(*record) ? "-" : span_of(number(*record, "age")),
                                 is_failed_spawn(*record) ? "-" : human_bytes(number(*record, "max_rss")),
                                 is_failed_spawn(*record) ? "-" : cpu_of(*record)};
        if (!with_lines) {
            const std::size_t room = look.width > 110 ? look.width - 86 : kLeastRoom;
            row.emplace_back(shortened(printable(trim(last_line_of(*record))), std::min(room, kMostRoom)));
        }
        table.add(std::move(row));
    }
    if (!with_lines) return table.text(look);
    // Below each line of the table what that process wrote.
    std::vector<std::string> lines;
    const auto rows = split(table.text(look), '\n');  // the titles, and one for each record
    for (std::size_t i = 0; i < rows.size(); ++i) {
        lines.push_back(rows[i]);
        if (i == 0 || i > records.size()) continue;
        for (const auto& written : written_by(*records[i - 1].record))
            lines.push_back("    " + printable(written));
    }
    return join(lines, "\n");
}

}  // namespace circus::control
