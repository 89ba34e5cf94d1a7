#include "top/page.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/text.hpp"

namespace circus::top {

namespace {

constexpr std::size_t kFigure = 8;  // cells of a column of numbers
constexpr std::size_t kStatus = 9;
constexpr std::size_t kSpark = 20;
constexpr std::size_t kLeastName = 16;
constexpr std::size_t kMostName = 40;

std::string fixed(const std::optional<double>& value, int digits = 1) {
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

// A line of the table before it is cut to size.
struct Row {
    Target target;
    Line line;
};

class Table {
  public:
    Table(const Board& board, const Choice& choice, const PageLook& look)
        : look_(look), watchers_(board.watchers(choice)) {
        std::size_t longest = kLeastName;
        for (const auto& watcher : watchers_) longest = std::max(longest, cells(watcher.name));
        name_ = std::min(longest, kMostName);
        // name status count cpu mem age; what is left holds the sparkline, or a process's command.
        const std::size_t used = 2 + name_ + 1 + kStatus + 1 + 5 + 4 * (kFigure + 1);
        rest_ = look.width > used + 2 ? look.width - used - 2 : 0;
    }

    Line head() const {
        return {
            {cat("  ", fitted("WATCHER", name_), " ", fitted("STATUS", kStatus), " ", fitted("N", 5, true),
                 " ", fitted("CPU %", kFigure, true), " ", fitted("MEM %", kFigure, true), " ",
                 fitted("RSS", kFigure, true), " ", fitted("AGE", kFigure, true), "  ",
                 fitted(look_.processes ? "HISTORY, COMMAND" : "HISTORY", rest_)),
             Style::Head}};
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
    Row row_of(const WatcherRow& watcher) const {
        const bool has_figures = !watcher.processes.empty();
        const auto figure = [&](double value) { return has_figures ? std::optional(value) : std::nullopt; };
        Line line;
        line.push_back({cat("  ", fitted(watcher.name, name_), " ")});
        line.push_back(
            {fitted(watcher.status.empty() ? "-" : watcher.status, kStatus), style_of(watcher.status)});
        line.push_back({cat(" ", fitted(std::to_string(watcher.processes.size()), 5, true), " ",
                            fitted(fixed(figure(watcher.cpu)), kFigure, true), " ",
                            fitted(fixed(figure(watcher.memory)), kFigure, true), " ", fitted("", kFigure),
                            " ", fitted(watcher.age ? age_words(*watcher.age) : "-", kFigure, true), "  ")});
        line.push_back({sparkline(watcher.cpus, std::min(rest_, kSpark), 10, look_.bars), Style::Good});
        return {{watcher.name, 0}, std::move(line)};
    }

    Row row_of(const WatcherRow& watcher, const ProcessRow& process) const {
        Line line;
        line.push_back({cat("    ", fitted(std::to_string(process.pid), name_ - 2), " ", fitted("", kStatus),
                            " ", fitted("", 5), " ", fitted(fixed(process.cpu), kFigure, true), " ",
                            fitted(fixed(process.memory), kFigure, true), " ",
                            fitted(process.resident.empty() ? "-" : process.resident, kFigure, true), " ",
                            fitted(process.age ? age_words(*process.age) : "-", kFigure, true), "  ")});
        line.push_back({fitted(process.command, rest_), Style::Dim});
        return {{watcher.name, process.pid}, std::move(line)};
    }

    const PageLook& look_;
    const std::vector<WatcherRow> watchers_;
    std::size_t name_ = kLeastName;
    std::size_t rest_ = 0;
};

Line title_line(const Board& board, const Table& table, const PageLook& look) {
    std::size_t processes = 0;
    for (const auto& watcher : table.watchers()) processes += watcher.processes.size();
    Line line{{cat("circus-top  ", look.endpoint, "  "), Style::Title}};
    if (!look.trouble.empty()) {
        line.push_back({look.trouble, Style::Bad});
        return line;
    }
    std::string text = cat(table.watchers().size(), " watchers, ", processes, " processes");
    if (const auto& daemon = board.daemon())
        text += cat("  circusd ", daemon->pid, ": ", fixed(daemon->cpu), " % CPU, ", daemon->resident);
    line.push_back({std::move(text)});
    return line;
}

std::vector<Line> socket_lines(const Board& board, const PageLook& look) {
    const auto sockets = board.sockets();
    std::vector<Line> lines;
    if (sockets.empty()) return lines;
    std::size_t name = 6, address = 7;
    for (const auto& socket : sockets) {
        name = std::max(name, std::min(cells(socket.name), kMostName));
        address = std::max(address, std::min(cells(socket.address), kMostName));
    }
    const std::size_t used = 2 + name + 1 + address + 1 + 4 * (kFigure + 1) + 1;
    const std::size_t rest = look.width > used ? std::min(look.width - used, kSpark) : 0;
    lines.push_back(
        {{cat("  ", fitted("SOCKET", name), " ", fitted("ADDRESS", address), " ",
              fitted("CONN/S", kFigure, true), " ", fitted("QUEUE", kFigure, true), " ",
              fitted("LIMIT", kFigure, true), " ", fitted("INFLIGHT", kFigure, true), "  ", fitted("", rest)),
          Style::Head}});
    for (const auto& socket : sockets) {
        // Half full is late: a worker more would have helped.
        const bool is_late = socket.queue && socket.limit && *socket.queue * 2 > *socket.limit;
        Line line;
        line.push_back(
            {cat("  ", fitted(socket.name.empty() ? std::to_string(socket.fd) : socket.name, name), " ",
                 fitted(socket.address, address), " ", fitted(fixed(socket.rate, 0), kFigure, true), " ")});
        line.push_back({fitted(count_words(socket.queue), kFigure, true), is_late ? Style::Bad
                                                                          : socket.queue.value_or(0) > 0
                                                                              ? Style::Warning
                                                                              : Style::Plain});
        line.push_back({cat(" ", fitted(count_words(socket.limit), kFigure, true), " ",
                            fitted(count_words(socket.in_flight), kFigure, true), "  ")});
        line.push_back({sparkline(socket.rates, rest, 1, look.bars), Style::Good});
        lines.push_back(std::move(line));
    }
    return lines;
}

Line key_line(const Choice& choice, const PageLook& look) {
    if (!look.prompt.empty()) return {{look.prompt, Style::Warning}};
    return {{cat("q quit  s sort: ", sort_word(choice.by), "  / filter", choice.filter.empty() ? "" : ": ",
                 choice.filter, "  t processes  + - count  r restart  R reload  k kill  l log"),
             Style::Dim}};
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

Page draw(const Board& board, const Choice& choice, const PageLook& look) {
    const Table table(board, choice, look);
    std::vector<Row> rows = table.rows();
    const auto sockets = socket_lines(board, look);
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
    for (std::size_t n = page.first; n < std::min(rows.size(), page.first + room); ++n)
        page.lines.push_back(cut(std::move(rows[n].line), look.width, is_selected && n == chosen));
    if (look.height == 0) return page;
    page.lines.resize(std::max<std::size_t>(look.height, 1) - 1);
    page.lines.push_back(cut(key_line(choice, look), look.width, false));
    return page;
}

}  // namespace circus::top
