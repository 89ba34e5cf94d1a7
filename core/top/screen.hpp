// Screen: the terminal, by ncurses. Takes it over while it lives and gives it back as it was. One per
// process, one thread; it draws lines of styled text and hands out keys, and knows nothing of what they mean.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "top/page.hpp"

namespace circus::top {

enum class Key { None, Text, Up, Down, PageUp, PageDown, Home, End, Enter, Escape, Backspace, Resize };

struct Stroke {
    Key key = Key::None;
    std::string text;  // Text: one character, UTF-8
};

class Screen {
  public:
    // An error: the terminal's kind is not known, or standard input or output is none.
    static Result<Screen> open(bool colour);
    Screen(Screen&& other) noexcept;
    Screen& operator=(Screen&&) = delete;
    ~Screen();

    std::size_t width() const;
    std::size_t height() const;
    bool has_bars() const { return has_bars_; }  // block characters can be shown
    void draw(const std::vector<Line>& lines);
    Stroke next();  // None: there is no key at the moment

  private:
    Screen(bool colour, bool has_bars) : colour_(colour), has_bars_(has_bars) {}
    bool is_open_ = true;
    bool colour_;
    bool has_bars_;
};

}  // namespace circus::top
