#include "convert/source.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <glob.h>
#include <iterator>
#include <memory>

#include "base/text.hpp"

namespace circus::convert {
namespace {

constexpr std::uintmax_t kLargestFile = std::uintmax_t{16} << 20;

std::string without_carriage_returns(const std::string& text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i)
        if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') out += text[i];
    return out;
}

}  // namespace

std::string Place::to_string() const {
    return line > 0 ? cat(file, ":", line) : file;
}

std::string Problem::to_string() const {
    return cat(at.to_string(), ": ", text);
}

Result<std::string> read_source(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code reason;
    const auto kind = fs::status(path, reason).type();
    if (kind == fs::file_type::not_found) return sys_error("cannot be read", ENOENT);
    if (kind == fs::file_type::directory) return sys_error("cannot be read", EISDIR);
    if (kind != fs::file_type::regular) return Error{"cannot be read: not a regular file"};
    if (fs::file_size(path, reason) > kLargestFile) return Error{"cannot be read: larger than 16 MiB"};
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in) return sys_error("cannot be read", errno ? errno : EIO);
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (in.bad()) return sys_error("cannot be read", EIO);
    if (text.find('\0') != std::string::npos) return Error{"is not a text file: it holds a NUL character"};
    if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
    return without_carriage_returns(text);
}

std::string beside(const std::string& from, const std::string& path) {
    return (std::filesystem::path(from).parent_path() / path).string();
}

std::vector<std::string> files_beside(const std::string& from, const std::string& pattern) {
    glob_t found{};
    const std::unique_ptr<glob_t, void (*)(glob_t*)> guard(&found, ::globfree);
    std::vector<std::string> files;
    if (::glob(beside(from, pattern).c_str(), 0, nullptr, &found) != 0) return files;
    for (size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
    return files;
}

}  // namespace circus::convert
