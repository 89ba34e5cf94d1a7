// Columns of text for a terminal. Passive: rows in, text out. What comes from elsewhere (names, command
// lines) may hold control characters, which a terminal would obey; they are shown as \x1b.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "control/look.hpp"

namespace circus::control {

enum class Colour { None, Red, Green, Yellow, Cyan, Dim, Bold };

std::string printable(std::string_view text);
std::size_t columns_of(std::string_view text);  // code points; what is valid UTF-8 has one column each
std::string coloured(const std::string& text, Colour colour, const Look& look);

struct Cell {
    Cell(const std::string& what, Colour how = Colour::None) : text(printable(what)), colour(how) {}
    Cell(const char* what) : Cell(std::string(what)) {}
    std::string text;
    Colour colour = Colour::None;
};

struct Column {
    std::string_view title;
    bool right = false;  // numbers
};

class Table {
  public:
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    void add(std::vector<Cell> row);  // missing cells at its end are empty
    // Title line and rows, two blanks between columns, none at the end of a line, no newline at the end.
    std::string text(const Look& look) const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

// Words side by side and below each other, as ls shows files: sorted downwards, as many columns as fit.
std::string side_by_side(const std::vector<std::string>& words, const Look& look);

}  // namespace circus::control
