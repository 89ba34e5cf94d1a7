#include "shell/history.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace circus::shell {

namespace {

Error failure(const std::string& path, std::string_view act) {
    return sys_error(cat(path, ": ", act), errno);
}

// Each missing directory above `path`, for its owner alone.
Status make_directories(const std::string& path) {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
        const std::string directory = path.substr(0, at);
        if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
            return failure(directory, "cannot be made");
    }
    return Ok{};
}

Status write_all(const UniqueFd& file, const std::string& path, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(file.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failure(path, "cannot be written");
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return Ok{};
}

// What the file says, or nothing where there is none.
Result<std::string> read_all(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file && errno == ENOENT) return std::string();
    if (!file) return failure(path, "cannot be read");
    std::string text;
    char piece[65536];
    while (true) {
        const ssize_t got = ::read(file.get(), piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure(path, "cannot be read");
        if (got == 0) return text;
        text.append(piece, static_cast<std::size_t>(got));
    }
}

// In the place of the old file in one step: another prompt reads either of them whole.
Status replace(const std::string& path, const std::vector<std::string>& lines) {
    const std::string other = cat(path, ".", ::getpid());
    const UniqueFd file(::open(other.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return failure(other, "cannot be made");
    Status written = write_all(file, other, join(lines, "\n") + "\n");
    if (written && ::rename(other.c_str(), path.c_str()) != 0) written = failure(path, "cannot be replaced");
    if (!written) ::unlink(other.c_str());
    return written;
}

}  // namespace

std::string history_path() {
    const char* state = std::getenv("XDG_STATE_HOME");
    if (state && *state == '/') return cat(std::string_view(state), "/circus/history");
    const char* home = std::getenv("HOME");
    if (home && *home == '/') return cat(std::string_view(home), "/.local/state/circus/history");
    return {};
}

Result<std::vector<std::string>> History::load() const {
    std::vector<std::string> lines;
    if (path_.empty()) return lines;
    const auto text = read_all(path_);
    if (!text) return text.error();
    for (auto& line : split(*text, '\n'))
        if (!line.empty()) lines.push_back(std::move(line));
    if (lines.size() <= kLinesKept) return lines;
    const bool grown = lines.size() > 2 * kLinesKept;
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kLinesKept));
    if (grown)
        if (const Status cut = replace(path_, lines); !cut) return cut.error();
    return lines;
}

Result<bool> History::add(const std::string& line) {
    if (trim(line).empty() || line.front() == ' ' || line == last_) return false;
    last_ = line;
    if (path_.empty() || line.find('\n') != std::string::npos) return true;
    if (const Status made = make_directories(path_); !made) return made.error();
    const UniqueFd file(
        ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!file) return failure(path_, "cannot be written");
    // A file that was there, made by another program perhaps.
    if (::fchmod(file.get(), 0600) != 0) return failure(path_, "cannot be kept to its owner");
    if (const Status written = write_all(file, path_, line + "\n"); !written) return written.error();
    return true;
}

}  // namespace circus::shell
