// A page of circus-top as lines of styled text: pure, so that what a terminal shows is tested without one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "top/board.hpp"

namespace circus::top {

enum class Style { Plain, Title, Head, Dim, Good, Warning, Bad, Selected };

struct Piece {
    std::string text;
    Style style = Style::Plain;
};
using Line = std::vector<Piece>;

// What the page's cursor stands on.
struct Target {
    std::string watcher;
    int pid = 0;  // 0: the watcher itself
    bool operator==(const Target&) const = default;
};

struct PageLook {
    std::size_t width = 80;
    std::size_t height = 24;  // 0: as many lines as it takes, and nothing below them
    bool processes = true;    // each of its own under its watcher
    bool bars = true;         // sparklines by block characters; else by ASCII's
    Target selected;
    std::size_t first = 0;  // row of the table that is shown first
    std::string endpoint;
    std::string trouble;  // shown in the place of the title's figures
    std::string prompt;   // the last line; empty: the keys
};

struct Page {
    std::vector<Line> lines;
    std::vector<Target> targets;  // of the table, from its first row on, shown or not
    std::size_t first = 0;        // moved so that the selected row is shown
};

Page draw(const Board& board, const Choice& choice, const PageLook& look);
std::vector<Line> help_lines();  // what the keys of the live table do

// Cells: one a code point, which is right for what names of watchers are made of.
std::size_t cells(std::string_view text);
std::string fitted(std::string_view text, std::size_t width, bool right = false);
// The newest at the right; scaled to its own highest value, or to `full` where that is higher.
std::string sparkline(const History& history, std::size_t width, double full, bool bars);
std::string age_words(double seconds);

}  // namespace circus::top
