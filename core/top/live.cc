#include "top/live.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/interrupt.hpp"
#include "control/look.hpp"
#include "control/python_text.hpp"

namespace circus::top {

namespace {

constexpr Milliseconds kTurn{250};
constexpr Milliseconds kAskEvery{1000};
constexpr Milliseconds kLogEvery{250};
constexpr Milliseconds kSaidFor{4000};
constexpr Milliseconds kSilence{4000};
constexpr std::size_t kLogLines = 5000;
constexpr const char* kLogQuestion = "log";
constexpr const char* kStatusQuestion = "status";
constexpr const char* kSocketsQuestion = "sockets";

}  // namespace

Live::Live(const Options& options, Choice choice, control::Subscriber& stats, std::string nothing)
    : options_(options),
      choice_(std::move(choice)),
      stats_(stats),
      nothing_(std::move(nothing)),
      questions_(options.endpoint, options.keys, from_seconds(options.timeout)),
      processes_(options.by_processes) {}

Status Live::run() {
    const bool colour = !control::surroundings_of(STDOUT_FILENO).refuses_colour;
    auto screen = Screen::open(colour);
    if (!screen) return screen.error();
    while (!over_ && !control::interrupted()) {
        ask_what_is_due();
        show(*screen);
        // Keys first: what somebody waits for at the keyboard is not behind what comes each second.
        for (Stroke stroke = screen->next(); stroke.key != Key::None; stroke = screen->next()) {
            on_key(stroke);
            if (!over_) show(*screen);  // the next key means what is shown then
        }
        const auto events = stats_.take(kTurn, STDIN_FILENO, questions_.fd());
        if (!events && events.error().code != EINTR) return events.error();
        if (events) take_figures(*events);
        take_answers();
        board_.forget(Monotonic::now());
    }
    return Ok{};
}

void Live::take_figures(const std::vector<control::Subscriber::Event>& events) {
    const TimePoint now = Monotonic::now();
    for (const auto& event : events)
        board_.on_frame(event.topic, Json::parse(event.payload, nullptr, false), now);
}

void Live::take_answers() {
    for (auto& each : questions_.take()) {
        if (each.what == kLogQuestion) {
            on_log(each);
        } else if (each.what == kStatusQuestion) {
            if (!each.text.empty())
                board_.on_statuses(Json::parse(each.text));
            else if (is_silent())
                board_.on_silence();
        } else if (each.what == kSocketsQuestion) {
            if (!each.text.empty()) board_.on_sockets(Json::parse(each.text));
        } else {
            say(each.error.empty() ? each.what : cat(each.what, ": ", each.error));
        }
    }
}

bool Live::is_silent() const {
    return Monotonic::now() - board_.newest().value_or(begin_) > kSilence;
}

void Live::on_log(const Questions::Answer& answer) {
    if (!log_) return;
    log_->trouble = answer.error;
    if (answer.text.empty()) return;
    const Json told = Json::parse(answer.text);
    log_->cursor = told.value("cursor", log_->cursor);
    const auto lines = told.find("lines");
    if (lines == told.end() || !lines->is_array()) return;
    for (const Json& line : *lines)
        if (line.is_object()) log_->lines.push_back(cat(line.value("pid", 0), "  ", line.value("text", "")));
    while (log_->lines.size() > kLogLines) log_->lines.pop_front();
}

void Live::ask_what_is_due() {
    const TimePoint now = Monotonic::now();
    if (now - asked_ >= kAskEvery) {
        asked_ = now;
        questions_.ask(kStatusQuestion, "status", Json::object());
        questions_.ask(kSocketsQuestion, "listsockets", {{"figures", true}});
    }
    if (!log_ || now - log_asked_ < kLogEvery) return;
    log_asked_ = now;
    Json properties = {{"name", log_->watcher}, {"lines", log_->cursor.empty() ? 200 : 1000}};
    if (log_->pid != 0) properties["pid"] = log_->pid;
    if (!log_->cursor.empty()) properties["cursor"] = log_->cursor;
    questions_.ask(kLogQuestion, "logs", properties);
}

void Live::show(Screen& screen) {
    if (helping_) return show_help(screen);
    if (log_) return show_log(screen);
    const TimePoint now = Monotonic::now();
    if (prompt_until_ && now >= *prompt_until_) {
        prompt_until_.reset();
        prompt_.clear();
    }
    PageLook look;
    look.width = screen.width();
    look.height = screen.height();
    look.processes = processes_;
    look.bars = screen.has_bars();
    look.selected = selected_;
    look.first = first_;
    look.endpoint = options_.endpoint;
    if (is_silent()) look.trouble = board_.newest() ? "no figures any more: is circusd away?" : nothing_;
    look.prompt = typing_ ? cat("filter: ", choice_.filter, "_   (Enter: done, Escape: all)") : prompt_;
    Page page = draw(board_, choice_, look);
    targets_ = std::move(page.targets);
    first_ = page.first;
    page_ = std::max<std::size_t>(look.height / 2, 1);
    screen.draw(page.lines);
}

void Live::show_help(Screen& screen) {
    std::vector<Line> lines = help_lines();
    for (Line& line : lines)
        for (Piece& piece : line)
            piece.text = fitted(piece.text, std::min(cells(piece.text), screen.width()));
    screen.draw(lines);
}

void Live::show_log(Screen& screen) {
    const std::size_t width = screen.width(), height = screen.height();
    std::vector<Line> lines;
    lines.push_back({{fitted(cat("log of ", log_->watcher, log_->pid ? cat(" ", log_->pid) : std::string(),
                                 "   (q or Escape: back)"),
                             width),
                      Style::Title}});
    const std::size_t room = height > 2 ? height - 2 : 0;
    const std::size_t count = std::min(room, log_->lines.size());
    for (std::size_t n = log_->lines.size() - count; n < log_->lines.size(); ++n)
        lines.push_back({{fitted(log_->lines[n], width)}});
    lines.resize(height > 0 ? height - 1 : 0);
    lines.push_back({{fitted(log_->trouble, width), Style::Bad}});
    screen.draw(lines);
}

void Live::on_key(const Stroke& stroke) {
    if (helping_) {
        helping_ = stroke.key == Key::Resize;
    } else if (log_) {
        if (stroke.key == Key::Escape || (stroke.key == Key::Text && stroke.text == "q")) log_.reset();
    } else if (typing_) {
        type(stroke);
    } else if (awaits_yes_) {
        if (stroke.key == Key::Resize) return;
        const auto act = std::exchange(awaits_yes_, nullptr);
        prompt_.clear();
        if (stroke.key == Key::Text && stroke.text == "y") act();
    } else {
        on_table_key(stroke);
    }
}

void Live::type(const Stroke& stroke) {
    switch (stroke.key) {
        case Key::Enter:
            typing_ = false;
            break;
        case Key::Escape:
            typing_ = false;
            choice_.filter.clear();
            break;
        case Key::Backspace:
            while (!choice_.filter.empty()) {
                const auto last = static_cast<unsigned char>(choice_.filter.back());
                choice_.filter.pop_back();
                if ((last & 0xC0U) != 0x80U) break;
            }
            break;
        case Key::Text:
            choice_.filter += stroke.text;
            break;
        default:
            break;
    }
}

void Live::on_table_key(const Stroke& stroke) {
    switch (stroke.key) {
        case Key::Up:
            return move(-1);
        case Key::Down:
            return move(1);
        case Key::PageUp:
            return move(-static_cast<long>(page_));
        case Key::PageDown:
            return move(static_cast<long>(page_));
        case Key::Home:
            return move(-static_cast<long>(targets_.size()));
        case Key::End:
            return move(static_cast<long>(targets_.size()));
        case Key::Enter:
            return on_letter('l');
        case Key::Text:
            if (stroke.text.size() == 1) on_letter(stroke.text.front());
            return;
        default:
            return;
    }
}

void Live::move(long by) {
    if (targets_.empty()) return;
    const auto at = std::find(targets_.begin(), targets_.end(), selected_);
    const long last = static_cast<long>(targets_.size()) - 1;
    const long from = at == targets_.end() ? (by > 0 ? -1 : 0) : static_cast<long>(at - targets_.begin());
    selected_ = targets_[static_cast<std::size_t>(std::clamp(from + by, 0L, last))];
}

void Live::on_letter(char letter) {
    switch (letter) {
        case 'q':
            over_ = true;
            return;
        case 's':
            choice_.by = next_sort(choice_.by);
            return;
        case 't':
            processes_ = !processes_;
            return;
        case '/':
            typing_ = true;
            return;
        case 'h':
        case '?':
            helping_ = true;
            return;
        default:
            break;
    }
    if (std::string_view("+-rRkl").find(letter) == std::string_view::npos) return;
    if (selected_.watcher.empty()) return say("select a row first, with the arrow keys");
    const std::string name = selected_.watcher;
    const int pid = selected_.pid;
    switch (letter) {
        case '+':
            return command("incr", {{"name", name}}, cat("one more of ", name));
        case '-':
            return command("decr", {{"name", name}}, cat("one less of ", name));
        case 'r':
            return confirm(cat("restart ", name, ", all of its processes at once? y/n"), [this, name] {
                command("restart", {{"name", name}}, cat("restart of ", name));
            });
        case 'R':
            return confirm(cat("reload ", name, ", new processes before old ones end? y/n"), [this, name] {
                command("reload", {{"name", name}}, cat("reload of ", name));
            });
        case 'k':
            if (pid == 0) return say("select a process to kill; `r` restarts all of a watcher");
            return confirm(cat("stop process ", pid, " of ", name, "? y/n"), [this, name, pid] {
                command("kill", {{"name", name}, {"pid", pid}}, cat("stop of process ", pid));
            });
        case 'l':
            log_ = Log{name, pid, {}, {}, {}};
            log_asked_ = {};
            return;
        default:
            return;
    }
}

void Live::command(const std::string& name, const Json& properties, const std::string& done) {
    if (!questions_.ask(done, name, properties)) say(cat(done, " is under way"));
    asked_ = {};
}

void Live::confirm(const std::string& question, std::function<void()> act) {
    prompt_ = question;
    prompt_until_.reset();
    awaits_yes_ = std::move(act);
}

void Live::say(std::string text) {
    if (awaits_yes_) return;
    prompt_ = std::move(text);
    prompt_until_ = Monotonic::now() + kSaidFor;
}

}  // namespace circus::top
