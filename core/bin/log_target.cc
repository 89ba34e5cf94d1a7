#include "bin/log_target.hpp"

#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <climits>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/text.hpp"
#include "stream/open_log.hpp"

namespace circus::bin {

namespace {

constexpr int kAskEvery = 100;  // milliseconds; how often give_up() is asked

constexpr std::array<std::string_view, 5> kLevels{"debug", "info", "warning", "error", "critical"};

std::string_view name_of(log::Level level) {
    return kLevels[static_cast<std::size_t>(level)];
}

// strftime(3) of the time, with milliseconds behind it.
std::string stamp(std::chrono::system_clock::time_point at, const char* format, bool utc) {
    const std::time_t whole = std::chrono::system_clock::to_time_t(at);
    const auto rest = at - std::chrono::system_clock::from_time_t(whole);
    std::tm parts{};
    if (utc)
        ::gmtime_r(&whole, &parts);
    else
        ::localtime_r(&whole, &parts);
    std::array<char, 64> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), format, &parts);
    std::string milliseconds =
        std::to_string(1000 + std::chrono::duration_cast<std::chrono::milliseconds>(rest).count());
    milliseconds.front() = '.';
    return std::string(text.data(), length) + milliseconds;
}

// One line, whatever a client or a file put into the text.
std::string escaped(std::string_view text) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte >= 0x20 && byte != 0x7f) || c == '\t') {
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else {
            out += "\\x";
            out += kDigits[byte >> 4U];
            out += kDigits[byte & 0xfU];
        }
    }
    return out;
}

// A descriptor: stderr, which others share and which must stay as it is, or a file.
class FileTarget final : public LogTarget {
  public:
    FileTarget(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    Status write(const LogRecord& record, bool json, const std::function<bool()>& give_up) override {
        std::string line = json ? json_line(record) : text_line(record);
        line += '\n';
        // The line before got only partly through.
        if (is_torn_) line.insert(0, 1, '\n');
        std::string_view left = line;
        while (!left.empty()) {
            const Status ready = wait(give_up);
            const ssize_t wrote =
                ready ? ::write(descriptor(), left.data(), std::min<std::size_t>(left.size(), PIPE_BUF)) : -1;
            if (ready && wrote < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (wrote <= 0) {
                const int problem = ready ? (wrote < 0 ? errno : EIO) : ready.error().code;
                is_torn_ = is_torn_ || left.size() != line.size();
                return sys_error("cannot write", problem);
            }
            left.remove_prefix(static_cast<std::size_t>(wrote));
        }
        is_torn_ = false;
        return Ok{};
    }

    Status reopen() override {
        if (path_.empty()) return Ok{};
        auto fd = stream::open_log(path_);
        if (!fd) return fd.error();
        fd_ = std::move(*fd);
        is_torn_ = false;
        return Ok{};
    }

  private:
    int descriptor() const { return path_.empty() ? STDERR_FILENO : fd_.get(); }

    // Until a write does not block. A pipe polls writable when PIPE_BUF bytes fit; a file always does.
    Status wait(const std::function<bool()>& give_up) const {
        pollfd ready{descriptor(), POLLOUT, 0};
        while (::poll(&ready, 1, kAskEvery) <= 0)
            if (give_up()) return sys_error("not taken", EAGAIN);
        return Ok{};
    }

    UniqueFd fd_;
    const std::string path_;
    bool is_torn_ = false;
};

}  // namespace

std::string plain_text(const LogRecord& record) {
    return escaped(record.text);
}

std::string text_line(const LogRecord& record) {
    return cat(stamp(record.at, "%Y-%m-%d %H:%M:%S", false), " circusd[", ::getpid(), "] [",
               name_of(record.level), "] ", plain_text(record));
}

std::string json_line(const LogRecord& record) {
    const Json object = {{"time", stamp(record.at, "%Y-%m-%dT%H:%M:%S", true) + "Z"},
                         {"level", name_of(record.level)},
                         {"pid", ::getpid()},
                         {"message", record.text}};
    return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::unique_ptr<LogTarget>> open_file_target(const std::string& path) {
    UniqueFd fd;
    if (!path.empty()) {
        auto opened = stream::open_log(path);
        if (!opened) return Error{cat("the log: ", opened.error().text), opened.error().code};
        fd = std::move(*opened);
    }
    return std::unique_ptr<LogTarget>(std::make_unique<FileTarget>(std::move(fd), path));
}

Result<std::unique_ptr<LogTarget>> open_log_target(const config::LogOutput& output) {
    if (output.kind == config::LogOutput::Kind::Syslog) return make_syslog_target(output);
    return open_file_target(output.path);
}

}  // namespace circus::bin
