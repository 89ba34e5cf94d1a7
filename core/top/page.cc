#include "top/page.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace circus::top {

namespace {

// Cells of the columns.
constexpr std::size_t kFigure = 8;  // of a socket's
constexpr std::size_t kCount = 4, kCpu = 7, kMemory = 6, kResident = 8, kAge = 7;
constexpr std::size_t kStatus = 8;
constexpr std::size_t kSpark = 20, kLeastSpark = 8;
constexpr std::size_t kLeastName = 16;
constexpr std::size_t kMostName = 40;
constexpr std::size_t kLeastAddress = 9;

std::string fixed_point(const std::optional<double>& value, int digits = 1) {
    if (!value) return "-";
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, *value);
    return text.data();
}

std::string count_words(const std::optional<long long>& value) {
    return value ? std::to_string(*value) : "-";
}

Style style_of(const std::string& status) {
    if (status == "active") return Style::Good;
    if (status == "stopped") return Style::Bad;
    return Style::Warning;
}

// One that does not fit says so.
std::string shortened(const std::string& text, std::size_t width, bool bars) {
    if (cells(text) <= width || width == 0) return fitted(text, width);
    return fitted(text, width - 1) + (bars ? "…" : "~");
}

// A line of the table before it is cut to size.
struct Row {
    Target target;
    Line line;
};

class Table {
  public:
    Table(const Board& board, const Choice& choice, const PageLook& look)
        : look_(look), watchers_(board.watchers(choice)) {
        // What an operator can do without goes first where there is no room for all of it.
        for (bool* each : {&has_age_, &has_resident_, &has_memory_, &has_status_}) {
            if (look.width >= fixed() + kLeastName) break;
            *each = false;
        }
        std::size_t longest = kLeastName;
        for (const auto& watcher : watchers_) longest = std::max(longest, cells(watcher.name));
        longest = std::min(longest, kMostName);
        const std::size_t room = look.width > fixed() ? look.width - fixed() : 1;
        const std::size_t spark = 2 + kLeastSpark;
        name_ = room >= kLeastName + spark ? std::min(longest, room - spark) : std::min(longest, room);
        // What is left holds the sparkline, or a process's command.
        rest_ = room > name_ + 2 ? room - name_ - 2 : 0;
    }

    Line head() const {
        std::string text = cat("  ", fitted("WATCHER", name_));
        if (has_status_) text += cat(" ", fitted("STATUS", kStatus));
        text += figures_of("N", "CPU %", "MEM %", "RSS", "AGE");
        text += cat("  ", fitted(look_.processes ? "HISTORY, COMMAND" : "HISTORY", rest_));
        return {{std::move(text), Style::Head}};
    }

    std::vector<Row> rows() const {
        std::vector<Row> rows;
        for (const auto& watcher : watchers_) {
            rows.push_back(row_of(watcher));
            if (!look_.processes) continue;
            for (const auto& process : watcher.processes) rows.push_back(row_of(watcher, process));
        }
        return rows;
    }

    const std::vector<WatcherRow>& watchers() const { return watchers_; }

  private:
    // Of all columns but the name and what stands behind the figures.
    std::size_t fixed() const {
        return 2 + (has_status_ ? 1 + kStatus : 0) + 1 + kCount + 1 + kCpu + (has_memory_ ? 1 + kMemory : 0) +
               (has_resident_ ? 1 + kResident : 0) + (has_age_ ? 1 + kAge : 0);
    }
    std::string figures_of(const std::string& count, const std::string& cpu, const std::string& memory,
                           const std::string& resident, const std::string& age) const {
        std::string text = cat(" ", fitted(count, kCount, true), " ", fitted(cpu, kCpu, true));
        if (has_memory_) text += cat(" ", fitted(memory, kMemory, true));
        if (has_resident_) text += cat(" ", fitted(resident, kResident, true));
        if (has_age_) text += cat(" ", fitted(age, kAge, true));
        return text;
    }

    Row row_of(const WatcherRow& watcher) const {
        const bool has_figures = !watcher.processes.empty();
        const auto figure = [&](double value) { return has_figures ? std::optional(value) : std::nullopt; };
        Line line;
        const std::string name = cat("  ", shortened(watcher.name, name_, look_.bars));
        // Where no word says the status its colour does.
        line.push_back({name, has_status_ || watcher.status == "active" || watcher.status.empty()
                                  ? Style::Plain
                                  : style_of(watcher.status)});
        if (has_status_)
            line.push_back({cat(" ", fitted(watcher.status.empty() ? "-" : watcher.status, kStatus)),
                            style_of(watcher.status)});
        line.push_back({cat(
            figures_of(std::to_string(watcher.processes.size()), fixed_point(figure(watcher.cpu)),
                       fixed_point(figure(watcher.memory)), "", watcher.age ? age_words(*watcher.age) : "-"),
            "  ")});
        line.push_back({sparkline(watcher.cpus, std::min(rest_, kSpark), 10, look_.bars), Style::Good});
        return {{watcher.name, 0}, std::move(line)};
    }

    Row row_of(const WatcherRow& watcher, const ProcessRow& process) const {
        Line line;
        std::string text =
            cat("    ", fitted(std::to_string(process.pid), std::max<std::size_t>(name_, 2) - 2));
        if (has_status_) text += std::string(1 + kStatus, ' ');
        text += figures_of("", fixed_point(process.cpu), fixed_point(process.memory),
                           process.resident.empty() ? "-" : process.resident,
                           process.age ? age_words(*process.age) : "-");
        line.push_back({text + "  "});
        line.push_back({shortened(process.command, rest_, look_.bars), Style::Dim});
        return {{watcher.name, process.pid}, std::move(line)};
    }

    const PageLook& look_;
    const std::vector<WatcherRow> watchers_;
    bool has_status_ = true, has_memory_ = true, has_resident_ = true, has_age_ = true;
    std::size_t name_ = kLeastName;
    std::size_t rest_ = 0;
};

Line title_line(const Board& board, const Table& table, const PageLook& look) {
    std::size_t processes = 0;
    for (const auto& watcher : table.watchers()) processes += watcher.processes.size();
    Line line{{"circus-top  ", Style::Title}};
    if (!look.trouble.empty()) {
        line.push_back({look.trouble, Style::Bad});
    } else {
        std::string text = cat(table.watchers().size(), " watchers, ", processes, " processes");
        if (const auto& daemon = board.daemon())
            text +=
                cat("  circusd ", daemon->pid, ": ", fixed_point(daemon->cpu), " % CPU, ", daemon->resident);
        line.push_back({std::move(text)});
    }
    line.push_back({cat("  ", look.endpoint), Style::Title});
    return line;
}

class SocketTable {
  public:
    SocketTable(const Board& board, const PageLook& look) : look_(look), sockets_(board.sockets()) {
        for (const auto& socket : sockets_) {
            name_ = std::max(name_, std::min(cells(name_of(socket)), kMostName));
            address_ = std::max(address_, std::min(cells(socket.address), kMostName));
        }
        for (bool* each : {&has_address_, &has_limit_, &has_in_flight_}) {
            if (look.width >= fixed() + (has_address_ ? kLeastAddress : 0)) break;
            *each = false;
        }
        const std::size_t room = look.width > fixed() ? look.width - fixed() : 0;
        if (has_address_) address_ = std::min(address_, room);
        const std::size_t used = has_address_ ? address_ : 0;
        rest_ = room > used + 2 ? std::min(room - used - 2, kSpark) : 0;
    }

    // `most` lines, with the head.
    std::vector<Line> lines(std::size_t most) const {
        std::vector<Line> lines;
        if (sockets_.empty() || most < 2) return lines;
        lines.push_back(head());
        const bool is_all = sockets_.size() < most;
        const std::size_t shown = is_all ? sockets_.size() : most - 2;
        for (std::size_t n = 0; n < shown; ++n) lines.push_back(row_of(sockets_[n]));
        if (!is_all) lines.push_back({{cat("  and ", sockets_.size() - shown, " more sockets"), Style::Dim}});
        return lines;
    }

  private:
    static std::string name_of(const SocketRow& socket) {
        return socket.name.empty() ? std::to_string(socket.fd) : socket.name;
    }
    std::size_t fixed() const {
        return 2 + name_ + (has_address_ ? 1 : 0) +
               (1 + kFigure) * (2 + (has_limit_ ? 1U : 0U) + (has_in_flight_ ? 1U : 0U));
    }
    Line head() const {
        std::string text = cat("  ", fitted("SOCKET", name_));
        if (has_address_) text += cat(" ", fitted("ADDRESS", address_));
        text += cat(" ", fitted("CONN/S", kFigure, true), " ", fitted("QUEUE", kFigure, true));
        if (has_limit_) text += cat(" ", fitted("LIMIT", kFigure, true));
        if (has_in_flight_) text += cat(" ", fitted("INFLIGHT", kFigure, true));
        return {{cat(text, "  ", fitted("", rest_)), Style::Head}};
    }
    Line row_of(const SocketRow& socket) const {
        // Half full is late: a worker more would have helped.
        const bool is_late = socket.queue && socket.limit && *socket.queue * 2 > *socket.limit;
        Line line;
        std::string text = cat("  ", shortened(name_of(socket), name_, look_.bars));
        if (has_address_) text += cat(" ", shortened(socket.address, address_, look_.bars));
        line.push_back({cat(text, " ", fitted(fixed_point(socket.rate, 0), kFigure, true), " ")});
        line.push_back({fitted(count_words(socket.queue), kFigure, true), is_late ? Style::Bad
                                                                          : socket.queue.value_or(0) > 0
                                                                              ? Style::Warning
                                                                              : Style::Plain});
        std::string more;
        if (has_limit_) more += cat(" ", fitted(count_words(socket.limit), kFigure, true));
        if (has_in_flight_) more += cat(" ", fitted(count_words(socket.in_flight), kFigure, true));
        line.push_back({more + "  "});
        line.push_back({sparkline(socket.rates, rest_, 1, look_.bars), Style::Good});
        return line;
    }

    const PageLook& look_;
    const std::vector<SocketRow> sockets_;
    bool has_address_ = true, has_limit_ = true, has_in_flight_ = true;
    std::size_t name_ = 6, address_ = 7, rest_ = 0;
};

// As many keys as fit; `h` tells of the rest. `rows`: which of the table are shown, where they are not all.
Line key_line(const Choice& choice, const PageLook& look, const std::string& rows) {
    if (!look.prompt.empty()) return {{look.prompt, Style::Warning}};
    const std::array<std::string, 10> keys{"q quit",
                                           "h help",
                                           cat("s sort: ", sort_word(choice.by)),
                                           cat("/ filter", choice.filter.empty() ? "" : ": ", choice.filter),
                                           "l log",
                                           "k kill",
                                           "r restart",
                                           "+ - count",
                                           "t processes",
                                           "R reload"};
    const std::size_t room = look.width > cells(rows) ? look.width - cells(rows) : 0;
    std::string text;
    for (const std::string& key : keys) {
        const std::string next = text.empty() ? key : cat(text, "  ", key);
        if (cells(next) > room) break;
        text = next;
    }
    return {{fitted(text, room), Style::Dim}, {rows, Style::Dim}};
}

// The line cut to the width; a selected one is one piece of one style to its end.
Line cut(Line line, std::size_t width, bool selected) {
    Line out;
    std::size_t left = width;
    for (Piece& piece : line) {
        const std::size_t size = cells(piece.text);
        if (size > left) piece.text = fitted(piece.text, left);
        left -= std::min(size, left);
        if (selected) piece.style = Style::Selected;
        out.push_back(std::move(piece));
        if (left == 0) break;
    }
    if (selected && left > 0) out.push_back({std::string(left, ' '), Style::Selected});
    return out;
}

}  // namespace

std::size_t cells(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string fitted(std::string_view text, std::size_t width, bool right) {
    std::string out;
    std::size_t used = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at + 1;
        while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
        if (used == width) break;
        const auto first = static_cast<unsigned char>(text[at]);
        // What would move the cursor is no text.
        if (first < 0x20U || first == 0x7FU)
            out += '?';
        else
            out += text.substr(at, end - at);
        ++used;
        at = end;
    }
    const std::string blanks(width - used, ' ');
    return right ? blanks + out : out + blanks;
}

std::string sparkline(const History& history, std::size_t width, double full, bool bars) {
    static constexpr std::array<std::string_view, 9> kBars{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static constexpr std::array<std::string_view, 9> kAscii{" ", ".", ".", ":", ":", "-", "=", "#", "#"};
    const auto& signs = bars ? kBars : kAscii;
    const std::size_t count = std::min(width, history.size());
    double highest = full;
    for (std::size_t n = history.size() - count; n < history.size(); ++n)
        highest = std::max(highest, history[n]);
    std::string out(width - count, ' ');
    for (std::size_t n = history.size() - count; n < history.size(); ++n) {
        const double share = std::clamp(history[n] / highest, 0.0, 1.0);
        // What is not nothing is seen.
        const auto step = static_cast<std::size_t>(std::ceil(share * 8));
        out += signs[std::min<std::size_t>(step, 8)];
    }
    return out;
}

std::string age_words(double seconds) {
    const auto whole = static_cast<long long>(std::max(seconds, 0.0));
    if (whole < 60) return cat(whole, "s");
    if (whole < 3600) return cat(whole / 60, "m", whole % 60, "s");
    if (whole < 86400) return cat(whole / 3600, "h", whole % 3600 / 60, "m");
    return cat(whole / 86400, "d", whole % 86400 / 3600, "h");
}

std::vector<Line> help_lines() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kKeys{{
        {"arrows", "select; also Page Up, Page Down, Home, End"},
        {"s", "sort by name, CPU, memory, age, number of processes"},
        {"/", "only watchers whose name has this in it"},
        {"t", "with or without a line for each process"},
        {"+ -", "one process more, or less, of the selected watcher"},
        {"r", "restart the watcher, all of its processes at once"},
        {"R", "reload it: new processes before old ones end"},
        {"k", "stop the selected process"},
        {"l, Enter", "follow the log of the watcher, or of the process"},
        {"h, ?", "this page"},
        {"q", "quit"},
    }};
    std::vector<Line> lines{{{"circus-top   (any key: back)", Style::Title}}, {}};
    for (const auto& [key, what] : kKeys) lines.push_back({{cat("  ", fitted(key, 10), what), Style::Plain}});
    return lines;
}

Page draw(const Board& board, const Choice& choice, const PageLook& look) {
    const Table table(board, choice, look);
    std::vector<Row> rows = table.rows();
    const auto sockets =
        SocketTable(board, look).lines(look.height == 0 ? board.sockets().size() + 1 : look.height / 3);
    const std::size_t around = 3 + (sockets.empty() ? 0 : sockets.size() + 1);
    const std::size_t room = look.height == 0 ? rows.size() : look.height > around ? look.height - around : 0;

    Page page;
    for (const auto& row : rows) page.targets.push_back(row.target);
    const auto at = std::find(page.targets.begin(), page.targets.end(), look.selected);
    const bool is_selected = at != page.targets.end();
    const auto chosen = static_cast<std::size_t>(at - page.targets.begin());
    page.first = std::min(look.first, rows.size() > room ? rows.size() - room : 0);
    if (is_selected && room > 0)
        page.first = std::clamp(page.first, chosen >= room ? chosen - room + 1 : 0, chosen);

    page.lines.push_back(cut(title_line(board, table, look), look.width, false));
    if (!sockets.empty()) {
        for (const Line& line : sockets) page.lines.push_back(cut(line, look.width, false));
        page.lines.push_back({});
    }
    page.lines.push_back(cut(table.head(), look.width, false));
    const std::size_t end = std::min(rows.size(), page.first + room);
    for (std::size_t n = page.first; n < end; ++n)
        page.lines.push_back(cut(std::move(rows[n].line), look.width, is_selected && n == chosen));
    if (look.height == 0) return page;
    page.lines.resize(std::max<std::size_t>(look.height, 1) - 1);
    const std::string shown =
        rows.size() > room ? cat("  ", page.first + 1, "-", end, " of ", rows.size()) : "";
    page.lines.push_back(cut(key_line(choice, look, shown), look.width, false));
    return page;
}

}  // namespace circus::top
