// Lines of input with a prompt: by GNU readline where a person types them and it is installed, else as they
// come. readline is loaded when the editor is made (dlopen), not linked. It has one state per process, so
// there is one editor at a time, on the thread that made it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/completion.hpp"

namespace circus::shell {

class LineEditor {
  public:
    // What may follow the line up to the cursor.
    using Completer = std::function<control::Completion(const std::string& line)>;

    virtual ~LineEditor() = default;
    LineEditor() = default;
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    // nullopt: the end of the input. Ctrl-C gives an empty line (under an InterruptGuard).
    virtual std::optional<std::string> read(const char* prompt) = 0;
    virtual void remember(const std::string& line) = 0;  // for the arrow keys
};

// `edits`: a terminal on both sides. Without readline, or where it is not wanted, the plain one.
std::unique_ptr<LineEditor> make_line_editor(bool edits, LineEditor::Completer completer);

}  // namespace circus::shell
