#include "shell/shell.hpp"

#include <cstdio>
#include <optional>
#include <unistd.h>
#include <vector>

#include "base/text.hpp"
#include "control/asking.hpp"
#include "control/circusctl.hpp"
#include "control/completion.hpp"
#include "control/interrupt.hpp"
#include "control/output.hpp"
#include "shell/history.hpp"
#include "shell/line_editor.hpp"

namespace circus::shell {

namespace {

constexpr const char* kPrompt = "(circusctl) ";
constexpr const char* kExitDoc = "leave this prompt; circusd goes on";

class Prompt {
  public:
    Prompt(const control::Invocation& own, bool edits)
        : own_(own),
          edits_(edits),
          history_(edits ? history_path() : std::string()),
          editor_(make_line_editor(edits, [this](const std::string& line) { return complete(line); })) {
        own_.forwarded.clear();
    }

    void run() {
        recall();
        while (const auto line = next()) {
            const auto words = split_words(*line);
            if (!words) {
                control::complain(cat("circusctl: ", words.error().text), control::Exit::Failed);
                continue;
            }
            remember(line->substr(0, line->find_last_not_of(" \t") + 1));
            if (words->size() == 1 && words->front() == "exit") return;
            if (!words->empty()) command(*words);
            if (!edits_ && control::interrupted()) return;  // listen, in a script
        }
        control::say("");
    }

  private:
    std::optional<std::string> next() {
        control::forget_interrupt();
        std::fflush(stdout);
        return editor_->read(kPrompt);
    }

    void command(const std::vector<std::string>& words) {
        const bool asks_for_help = words.size() == 1 && (words[0] == "help" || words[0] == "?");
        control::run_command(asks_for_help ? std::vector<std::string>{"help"} : words, own_);
        if (asks_for_help)
            control::say(
                "\nAt this prompt: exit, or Ctrl-D, leaves it; quit ends circusd. Ctrl-C ends what a "
                "command waits for.");
    }

    control::Completion complete(const std::string& line) const {
        return control::complete(control::split_line(line), control::quick_ask(own_), {{"exit", kExitDoc}});
    }

    void recall() {
        auto lines = history_.load();
        if (!lines) return excuse(lines.error());
        for (const auto& line : *lines) editor_->remember(line);
    }

    void remember(const std::string& line) {
        const auto added = history_.add(line);
        if (!added) excuse(added.error());
        if (!added || *added) editor_->remember(line);
    }

    void excuse(const Error& error) {
        if (!excused_) control::complain(cat("circusctl: history: ", error.text), control::Exit::Failed);
        excused_ = true;
    }

    control::Invocation own_;
    bool edits_;
    bool excused_ = false;  // once is enough
    History history_;
    std::unique_ptr<LineEditor> editor_;
};

}  // namespace

int run_shell(const control::Invocation& own) {
    control::say("circusctl " CIRCUSD_VERSION);
    control::run_command({"status"}, own);
    const bool edits = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    std::optional<control::InterruptGuard> guard;
    if (edits) guard.emplace();
    Prompt(own, edits).run();
    return 0;
}

}  // namespace circus::shell
