#include "top/screen.hpp"

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <langinfo.h>
#include <unistd.h>
#include <utility>

#include <climits>

// Its macros would take `move`, `erase` and the like from everybody.
#define NCURSES_NOMACROS 1
#include <curses.h>

#include "base/text.hpp"

namespace circus::top {

namespace {

constexpr int kEscapeMs = 25;  // an Escape alone is one when nothing follows for so long

struct Paint {
    short foreground;
    attr_t attributes;
};

// By Style. Without colour the attributes alone must do.
constexpr std::array<Paint, 8> kPaints{{{-1, A_NORMAL},
                                        {COLOR_CYAN, A_BOLD},
                                        {-1, A_REVERSE},
                                        {-1, A_DIM},
                                        {COLOR_GREEN, A_NORMAL},
                                        {COLOR_YELLOW, A_BOLD},
                                        {COLOR_RED, A_BOLD},
                                        {COLOR_CYAN, A_REVERSE}}};

}  // namespace

Result<Screen> Screen::open(bool colour) {
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
        return Error{"the live table needs a terminal; without one there are --once and --json"};
    std::setlocale(LC_ALL, "");
    const char* kind = std::getenv("TERM");
    SCREEN* screen = newterm(nullptr, stdout, stdin);
    if (!screen)
        return Error{cat("the kind of terminal \"", std::string_view(kind ? kind : ""),
                         "\" ($TERM) is not known here; --once and --json need none")};
    set_term(screen);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(kEscapeMs);
    curs_set(0);
    const bool coloured = colour && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (coloured)
        for (std::size_t n = 0; n < kPaints.size(); ++n)
            init_pair(static_cast<short>(n + 1), kPaints[n].foreground, -1);
    return Screen(coloured, std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
}

Screen::Screen(Screen&& other) noexcept
    : is_open_(std::exchange(other.is_open_, false)), colour_(other.colour_), has_bars_(other.has_bars_) {}

Screen::~Screen() {
    if (is_open_) endwin();
}

std::size_t Screen::width() const {
    return static_cast<std::size_t>(std::max(getmaxx(stdscr), 1));
}

std::size_t Screen::height() const {
    return static_cast<std::size_t>(std::max(getmaxy(stdscr), 1));
}

void Screen::draw(const std::vector<Line>& lines) {
    erase();
    for (std::size_t row = 0; row < std::min(lines.size(), height()); ++row) {
        move(static_cast<int>(row), 0);
        for (const Piece& piece : lines[row]) {
            const auto style = static_cast<std::size_t>(piece.style);
            const short pair = colour_ ? static_cast<short>(style + 1) : short{0};
            attr_set(kPaints[style].attributes, pair, nullptr);
            addstr(piece.text.c_str());
        }
    }
    attr_set(A_NORMAL, 0, nullptr);
    refresh();
}

Stroke Screen::next() {
    wint_t code = 0;
    const int kind = get_wch(&code);
    if (kind == ERR) return {};
    if (kind == KEY_CODE_YES) {
        switch (code) {
            case KEY_UP:
                return {Key::Up, {}};
            case KEY_DOWN:
                return {Key::Down, {}};
            case KEY_PPAGE:
                return {Key::PageUp, {}};
            case KEY_NPAGE:
                return {Key::PageDown, {}};
            case KEY_HOME:
                return {Key::Home, {}};
            case KEY_END:
                return {Key::End, {}};
            case KEY_BACKSPACE:
                return {Key::Backspace, {}};
            case KEY_ENTER:
                return {Key::Enter, {}};
            case KEY_RESIZE:
                return {Key::Resize, {}};
            default:
                return {Key::None, {}};
        }
    }
    if (code == '\r' || code == '\n') return {Key::Enter, {}};
    if (code == 27) return {Key::Escape, {}};
    if (code == 127 || code == 8) return {Key::Backspace, {}};
    if (code < 32) return {};
    std::array<char, MB_LEN_MAX + 1> bytes{};
    std::mbstate_t state{};
    const std::size_t size = std::wcrtomb(bytes.data(), static_cast<wchar_t>(code), &state);
    if (size == static_cast<std::size_t>(-1)) return {};
    return {Key::Text, std::string(bytes.data(), size)};
}

}  // namespace circus::top
