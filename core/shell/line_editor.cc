#include "shell/line_editor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <poll.h>
#include <string_view>
#include <unistd.h>
#include <utility>

// The declarations alone: what they name is looked up in the library at run time.
#include <readline/history.h>
#include <readline/readline.h>

#include "base/text.hpp"
#include "control/interrupt.hpp"
#include "shell/history.hpp"

namespace circus::shell {

namespace {

using control::Completion;

class PlainEditor : public LineEditor {
  public:
    ~PlainEditor() override { std::free(line_); }

    std::optional<std::string> read(const char* prompt) override {
        std::fputs(prompt, stdout);
        std::fflush(stdout);
        ssize_t length = ::getline(&line_, &size_, stdin);
        if (length < 0) {
            const bool woken = std::ferror(stdin) != 0 && errno == EINTR;
            std::clearerr(stdin);
            if (!woken) return std::nullopt;
            std::fputc('\n', stdout);
            return std::string();
        }
        if (length > 0 && line_[length - 1] == '\n') --length;
        return std::string(line_, static_cast<std::size_t>(length));
    }
    void remember(const std::string&) override {}

  private:
    char* line_ = nullptr;  // getline's
    std::size_t size_ = 0;
};

// What is used of readline. A null member: the library has it not, and is of no use.
struct Readline {
    decltype(&::readline) readline = nullptr;
    decltype(&::add_history) add_history = nullptr;
    decltype(&::stifle_history) stifle_history = nullptr;
    decltype(&::rl_replace_line) replace_line = nullptr;
    decltype(&::rl_line_buffer) line_buffer = nullptr;
    decltype(&::rl_point) point = nullptr;
    decltype(&::rl_check_signals) check_signals = nullptr;
    decltype(&::rl_pending_signal) pending_signal = nullptr;
    decltype(&::rl_getc_function) getc_function = nullptr;
    decltype(&::rl_readline_name) name = nullptr;
    decltype(&::rl_attempted_completion_function) attempted_completion = nullptr;
    decltype(&::rl_attempted_completion_over) attempted_completion_over = nullptr;
    decltype(&::rl_completion_append_character) append_character = nullptr;
    decltype(&::rl_completion_quote_character) quote_character = nullptr;
    decltype(&::rl_completer_quote_characters) quote_characters = nullptr;
    decltype(&::rl_completer_word_break_characters) word_break_characters = nullptr;
};

template <class Symbol>
bool find(void* library, const char* name, Symbol& symbol) {
    symbol = reinterpret_cast<Symbol>(::dlsym(library, name));
    return symbol != nullptr;
}

std::optional<Readline> load_readline() {
    const std::string name = cat("libreadline.so.", RL_VERSION_MAJOR);
    // Never closed: readline keeps handlers and the terminal's settings.
    void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::nullopt;
    Readline found;
    const bool whole =
        find(library, "readline", found.readline) && find(library, "add_history", found.add_history) &&
        find(library, "stifle_history", found.stifle_history) &&
        find(library, "rl_replace_line", found.replace_line) &&
        find(library, "rl_line_buffer", found.line_buffer) && find(library, "rl_point", found.point) &&
        find(library, "rl_check_signals", found.check_signals) &&
        find(library, "rl_pending_signal", found.pending_signal) &&
        find(library, "rl_getc_function", found.getc_function) &&
        find(library, "rl_readline_name", found.name) &&
        find(library, "rl_attempted_completion_function", found.attempted_completion) &&
        find(library, "rl_attempted_completion_over", found.attempted_completion_over) &&
        find(library, "rl_completion_append_character", found.append_character) &&
        find(library, "rl_completion_quote_character", found.quote_character) &&
        find(library, "rl_completer_quote_characters", found.quote_characters) &&
        find(library, "rl_completer_word_break_characters", found.word_break_characters);
    return whole ? std::optional(found) : std::nullopt;
}

constexpr std::string_view kSpecial = " \t\"'\\";  // what split_words() would take for something else

std::string escaped(std::string_view word) {
    std::string out;
    for (const char c : word) {
        if (kSpecial.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

char* copied(const std::string& text) {
    char* copy = ::strdup(text.c_str());
    if (copy == nullptr) std::abort();
    return copy;
}

std::string common_start(const std::vector<std::string>& words) {
    std::string start = words.front();
    for (const auto& word : words) {
        const auto end = std::mismatch(start.begin(), start.end(), word.begin(), word.end()).first;
        start.erase(end, start.end());
    }
    return start;
}

class ReadlineEditor : public LineEditor {
  public:
    ReadlineEditor(const Readline& library, Completer completer)
        : library_(library), completer_(std::move(completer)) {
        instance_ = this;
        static char breaks[] = " \t\n";
        *library_.name = "circusctl";
        *library_.word_break_characters = breaks;
        *library_.quote_characters = "\"'";
        *library_.attempted_completion = &ReadlineEditor::attempt;
        *library_.getc_function = &ReadlineEditor::next_key;
        library_.stifle_history(static_cast<int>(kLinesKept));
    }
    ~ReadlineEditor() override {
        *library_.attempted_completion = nullptr;
        instance_ = nullptr;
    }

    std::optional<std::string> read(const char* prompt) override {
        char* line = library_.readline(prompt);
        if (line == nullptr) return std::nullopt;
        std::string text = line;
        std::free(line);
        return text;
    }
    void remember(const std::string& line) override { library_.add_history(line.c_str()); }

  private:
    // readline's own reader waits on after a signal. This one ends the line, emptied, at Ctrl-C.
    static int next_key(std::FILE* input) {
        const Readline& library = instance_->library_;
        sigset_t interrupt;
        sigemptyset(&interrupt);
        sigaddset(&interrupt, SIGINT);
        while (true) {
            library
                .check_signals();  // the terminal as it was, our handler, the terminal as readline wants it
            if (control::interrupted()) {
                library.replace_line("", 0);
                return '\n';
            }
            // Blocked from the look at the flags to the wait: none is overlooked in between.
            sigset_t before;
            ::sigprocmask(SIG_BLOCK, &interrupt, &before);
            pollfd ready{::fileno(input), POLLIN, 0};
            const bool due = library.pending_signal() != 0 || control::interrupted();
            const int found = due ? 0 : ::ppoll(&ready, 1, nullptr, &before);
            ::sigprocmask(SIG_SETMASK, &before, nullptr);
            if (found <= 0) continue;
            unsigned char key = 0;
            const ssize_t got = ::read(ready.fd, &key, 1);
            if (got == 1) return key;
            if (got == 0 || (errno != EINTR && errno != EAGAIN)) return EOF;
        }
    }

    static char** attempt(const char* text, int, int) { return instance_->matches(text); }

    // As readline wants them: what is inserted, then all that are possible; `text` is its idea of the last
    // word, which begins behind an escaped blank or a quote.
    char** matches(const std::string& text) {
        const std::string line(*library_.line_buffer, static_cast<std::size_t>(*library_.point));
        const Completion completion = completer_(line);
        *library_.attempted_completion_over = completion.files ? 0 : 1;
        if (completion.candidates.empty() || !completion.word.ends_with(text)) return nullptr;
        const std::size_t before = completion.word.size() - text.size();
        std::vector<std::string> words;
        for (const auto& candidate : completion.candidates) {
            const std::string rest = candidate.word.substr(before);
            words.push_back(*library_.quote_character != 0 ? rest : escaped(rest));
        }
        const std::string start = common_start(words);
        const bool goes_on = start.ends_with('.') || start.ends_with('=');
        *library_.append_character = words.size() == 1 && goes_on ? 0 : static_cast<unsigned char>(' ');
        auto** list = static_cast<char**>(std::calloc(words.size() + 2, sizeof(char*)));
        if (list == nullptr) std::abort();
        list[0] = copied(start);
        if (words.size() > 1) std::transform(words.begin(), words.end(), list + 1, copied);
        return list;
    }

    Readline library_;
    Completer completer_;
    static ReadlineEditor* instance_;  // readline's callbacks carry nothing
};

ReadlineEditor* ReadlineEditor::instance_ = nullptr;

}  // namespace

std::unique_ptr<LineEditor> make_line_editor(bool edits, LineEditor::Completer completer) {
    if (edits)
        if (const auto library = load_readline())
            return std::make_unique<ReadlineEditor>(*library, std::move(completer));
    return std::make_unique<PlainEditor>();
}

}  // namespace circus::shell
