// Live: the table that moves, from the first key to `q`. One loop over three things that may happen: figures
// of the stats stream, answers of the daemon, keys. States: the table, a line that is typed (the filter), a
// yes that is awaited, a log that is followed, the page of keys. A daemon that is away is waited for, and the
// title says so.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "control/client.hpp"
#include "top/board.hpp"
#include "top/page.hpp"
#include "top/questions.hpp"
#include "top/screen.hpp"
#include "top/top.hpp"

namespace circus::top {

class Live {
  public:
    // `stats`: subscribed to the stream. `nothing`: what is said while it brings nothing.
    Live(const Options& options, Choice choice, control::Subscriber& stats, std::string nothing);
    Status run();  // an error: there is no terminal

  private:
    struct Log {
        std::string watcher;
        int pid = 0;
        std::string cursor;
        std::deque<std::string> lines;
        std::string trouble;
    };

    void take_figures(const std::vector<control::Subscriber::Event>& events);
    void take_answers();
    bool is_silent() const;  // nothing has been published for a while
    void on_log(const Questions::Answer& answer);
    void ask_what_is_due();
    void show(Screen& screen);
    void show_log(Screen& screen);
    static void show_help(Screen& screen);
    void on_key(const Stroke& stroke);
    void on_table_key(const Stroke& stroke);
    void on_letter(char letter);
    void type(const Stroke& stroke);
    void move(long by);
    void command(const std::string& name, const Json& properties, const std::string& done);
    void confirm(const std::string& question, std::function<void()> act);
    void say(std::string text);

    const Options& options_;
    Choice choice_;
    control::Subscriber& stats_;
    const std::string nothing_;
    Questions questions_;
    Board board_;

    bool processes_;
    bool over_ = false;
    bool typing_ = false;
    bool helping_ = false;
    std::string prompt_;
    std::function<void()> awaits_yes_;
    std::optional<TimePoint> prompt_until_;
    std::optional<Log> log_;
    Target selected_;
    std::size_t first_ = 0;
    std::size_t page_ = 10;  // rows
    std::vector<Target> targets_;
    TimePoint begin_ = Monotonic::now();
    TimePoint asked_{};
    TimePoint log_asked_{};
};

}  // namespace circus::top
