// The lines that were typed at the prompt, in a file of the user's own (mode 0600), the latest kLinesKept of
// them. Each line is appended when it was typed, so two prompts at once lose nothing of each other. Without a
// place for the file, or when it cannot be written, the lines are only remembered as long as the prompt is
// there.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace circus::shell {

inline constexpr std::size_t kLinesKept = 1000;

// $XDG_STATE_HOME/circus/history, else ~/.local/state/circus/history; empty: neither is an absolute path.
std::string history_path();

class History {
  public:
    explicit History(std::string path) : path_(std::move(path)) {}

    // The lines of the file, oldest first. A file that has grown to twice what is kept is cut.
    Result<std::vector<std::string>> load() const;
    // Nothing happens for an empty line, one that begins with a blank (it is not to be kept), and the last
    // one once more. True: the line is new, for the editor's memory.
    Result<bool> add(const std::string& line);

  private:
    std::string path_;
    std::string last_;
};

}  // namespace circus::shell
