#include "config/curve_files.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace circus::config {

namespace {

constexpr std::string_view kZ85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
constexpr size_t kLongestFile = 1024UL * 1024;

struct Line {
    size_t number = 0;
    std::vector<std::string> words;
};

std::vector<Line> lines_of(std::string_view text) {
    std::vector<Line> lines;
    size_t number = 0;
    for (std::string line : split(text, '\n')) {
        ++number;
        std::replace_if(
            line.begin(), line.end(), [](char c) { return c == '\t' || c == '\r'; }, ' ');
        std::vector<std::string> words = split(line, ' ');
        std::erase(words, "");
        if (!words.empty() && words.front().front() != '#') lines.push_back({number, std::move(words)});
    }
    return lines;
}

Error at_line(const std::string& file, size_t line, std::string_view what) {
    return Error{cat(file, ":", line, ": ", what), EINVAL};
}

// The text of the file, if nobody may `forbidden` it (mode bits of group and others) but root and this user.
Result<std::string> read_guarded(const std::string& file, mode_t forbidden, std::string_view remedy) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat found {};
    if (!fd || ::fstat(fd.get(), &found) != 0) return sys_error(cat("cannot read ", file), errno);
    if (!S_ISREG(found.st_mode)) return Error{cat(file, " is not a file"), EINVAL};
    if (found.st_uid != 0 && found.st_uid != ::geteuid())
        return Error{cat(file, " belongs to another user (uid ", found.st_uid, "); chown it"), EPERM};
    if ((found.st_mode & forbidden) != 0) return Error{cat(file, " ", remedy), EPERM};
    std::string text;
    char buffer[4096];
    while (text.size() < kLongestFile) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return sys_error(cat("cannot read ", file), errno);
        if (got == 0) return text;
        text.append(buffer, static_cast<size_t>(got));
    }
    return Error{cat(file, " is longer than ", kLongestFile, " bytes"), EFBIG};
}

}  // namespace

bool is_key(std::string_view text) {
    return text.size() == kKeyLength && text.find_first_not_of(kZ85) == std::string_view::npos;
}

Result<KeyFile> parse_keys(std::string_view text, const std::string& file) {
    KeyFile keys;
    for (const Line& line : lines_of(text)) {
        const std::string& word = line.words.front();
        std::string* const key = word == "public"   ? &keys.public_key
                                 : word == "secret" ? &keys.secret_key
                                 : word == "server" ? &keys.server_key
                                                    : nullptr;
        if (!key)
            return at_line(file, line.number,
                           cat(py_repr(word), " is no word of a key file: public, secret or server"));
        if (line.words.size() != 2 || !is_key(line.words[1]))
            return at_line(file, line.number,
                           cat("behind ", word, " belongs a key, ", kKeyLength, " characters of Z85"));
        *key = line.words[1];
    }
    if (keys.secret_key.empty())
        return Error{cat(file, " has no line \"secret KEY\"; `circusctl keygen FILE` makes such a file"),
                     EINVAL};
    return keys;
}

Result<std::vector<CurveClient>> parse_clients(std::string_view text, const std::string& file) {
    std::vector<CurveClient> clients;
    for (const Line& line : lines_of(text)) {
        if (line.words.size() != 3) return at_line(file, line.number, "a line is ROLE NAME KEY");
        const auto role = model::parse_role(line.words[0]);
        if (!role)
            return at_line(file, line.number,
                           cat(py_repr(line.words[0]), " is no role: read, operate or admin"));
        if (!is_key(line.words[2]))
            return at_line(file, line.number, cat("the key must be ", kKeyLength, " characters of Z85"));
        const auto twice = std::find_if(clients.begin(), clients.end(), [&line](const CurveClient& each) {
            return each.key == line.words[2];
        });
        if (twice != clients.end())
            return at_line(file, line.number, cat("the key is that of ", twice->name, " too"));
        clients.push_back({line.words[1], line.words[2], *role});
    }
    return clients;
}

Result<KeyFile> read_keys(const std::string& file) {
    const auto text = read_guarded(file, 077, "is open to others; chmod 600 it");
    if (!text) return text.error();
    return parse_keys(*text, file);
}

Result<std::vector<CurveClient>> read_clients(const std::string& file) {
    const auto text = read_guarded(file, 022, "can be written by others; chmod go-w it");
    if (!text) return text.error();
    return parse_clients(*text, file);
}

}  // namespace circus::config
