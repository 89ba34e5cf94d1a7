#include "control/table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.hpp"

namespace circus::control {

namespace {

constexpr std::size_t kGap = 2;  // blanks between two columns

std::string_view code(Colour colour) {
    switch (colour) {
        case Colour::None:
            return {};
        case Colour::Red:
            return "31";
        case Colour::Green:
            return "32";
        case Colour::Yellow:
            return "33";
        case Colour::Cyan:
            return "36";
        case Colour::Dim:
            return "2";
        case Colour::Bold:
            return "1";
    }
    return {};
}

std::string blanks(std::size_t count) {
    return std::string(count, ' ');
}

std::string padded(const Cell& cell, std::size_t width, bool right, const Look& look) {
    const std::string space = blanks(width - std::min(width, columns_of(cell.text)));
    const std::string text = coloured(cell.text, cell.colour, look);
    return right ? space + text : text + space;
}

void drop_blanks_at_end(std::string& line) {
    line.erase(line.find_last_not_of(' ') + 1);
}

bool is_control(unsigned char byte) {
    return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        // U+0080 to U+009F in UTF-8: the other half of the control characters.
        const bool high = byte == 0xc2 && at + 1 < text.size() &&
                          static_cast<unsigned char>(text[at + 1]) >= 0x80 &&
                          static_cast<unsigned char>(text[at + 1]) < 0xa0;
        if (!high && !is_control(byte)) {
            out += text[at];
            continue;
        }
        std::array<char, 8> escaped{};
        std::snprintf(escaped.data(), escaped.size(), "\\x%02x",
                      high ? static_cast<unsigned char>(text[++at]) : byte);
        out += escaped.data();
    }
    return out;
}

std::size_t columns_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string coloured(const std::string& text, Colour colour, const Look& look) {
    if (!look.colour || colour == Colour::None || text.empty()) return text;
    return cat("\033[", code(colour), "m", text, "\033[0m");
}

void Table::add(std::vector<Cell> row) {
    row.resize(columns_.size(), Cell(""));
    rows_.push_back(std::move(row));
}

std::string Table::text(const Look& look) const {
    std::vector<std::size_t> widths;
    for (const Column& column : columns_) widths.push_back(columns_of(column.title));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < widths.size(); ++i)
            widths[i] = std::max(widths[i], columns_of(row[i].text));
    const auto line = [&](const std::vector<Cell>& row) {
        std::string out;
        for (std::size_t i = 0; i < widths.size(); ++i)
            out += cat(i == 0 ? "" : blanks(kGap), padded(row[i], widths[i], columns_[i].right, look));
        drop_blanks_at_end(out);
        return out;
    };
    std::vector<Cell> titles;
    for (const Column& column : columns_) titles.emplace_back(std::string(column.title), Colour::Bold);
    std::string out = line(titles);
    for (const auto& row : rows_) out += "\n" + line(row);
    return out;
}

std::string side_by_side(const std::vector<std::string>& words, const Look& look) {
    std::vector<std::string> shown;
    std::size_t widest = 0;
    for (const auto& word : words) {
        shown.push_back(printable(word));
        widest = std::max(widest, columns_of(shown.back()));
    }
    const std::size_t columns = std::max<std::size_t>(1, (look.width + kGap) / (widest + kGap));
    const std::size_t lines = (shown.size() + columns - 1) / columns;
    std::string out;
    for (std::size_t line = 0; line < lines; ++line) {
        std::string text;
        for (std::size_t at = line; at < shown.size(); at += lines)
            text += shown[at] + blanks(widest + kGap - columns_of(shown[at]));
        drop_blanks_at_end(text);
        out += (line == 0 ? "" : "\n") + text;
    }
    return out;
}

}  // namespace circus::control
