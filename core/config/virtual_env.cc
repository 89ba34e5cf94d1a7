#include "config/virtual_env.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/text.hpp"

namespace circus::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPython = "python";

bool is_folder(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
}

std::vector<fs::path> sorted_entries(const fs::path& directory) {
    std::error_code ignored;
    std::vector<fs::path> entries;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    return entries;
}

// 3.9 is before 3.11.
std::vector<long long> numbers_of(std::string_view version) {
    std::vector<long long> numbers;
    for (const auto& part : split(version, '.')) numbers.push_back(parse_int(part).value_or(0));
    return numbers;
}

// The versions it has modules of, the oldest first.
std::vector<std::string> versions_of(const fs::path& root) {
    std::vector<std::string> versions;
    for (const auto& entry : sorted_entries(root / "lib")) {
        const std::string name = entry.filename();
        if (name.starts_with(kPython) && is_folder(entry / "site-packages"))
            versions.push_back(name.substr(kPython.size()));
    }
    std::sort(versions.begin(), versions.end(),
              [](const std::string& a, const std::string& b) { return numbers_of(a) < numbers_of(b); });
    return versions;
}

// What venv(1) notes about the interpreter: "3.11" of "version = 3.11.2".
std::string noted_version(const fs::path& root) {
    std::ifstream notes(root / "pyvenv.cfg");
    for (std::string line; std::getline(notes, line);) {
        const auto equals = line.find('=');
        if (equals == std::string::npos || !trim(line.substr(0, equals)).starts_with("version")) continue;
        const auto numbers = split(trim(std::string_view(line).substr(equals + 1)), '.');
        if (numbers.size() >= 2) return cat(numbers[0], ".", numbers[1]);
    }
    return {};
}

Result<std::string> choose_version(const fs::path& root, const std::string& wanted) {
    const std::vector<std::string> versions = versions_of(root);
    const auto has = [&versions](const std::string& version) {
        return std::find(versions.begin(), versions.end(), version) != versions.end();
    };
    if (versions.empty()) return Error{"is no virtualenv: there is no lib/python*/site-packages in it"};
    if (!wanted.empty()) {
        if (has(wanted)) return wanted;
        return Error{
            cat("has no lib/python", wanted, "/site-packages; it is of Python ", join(versions, ", "))};
    }
    if (versions.size() == 1) return versions.front();
    if (const std::string noted = noted_version(root); has(noted)) return noted;
    return Error{cat("is of Python ", join(versions, ", "), "; write virtualenv_py_ver = \"", versions.back(),
                     "\" or another")};
}

// As site.py reads them: a line is a directory, but for comments and for code.
void add_named_modules(const fs::path& pth, std::vector<std::string>& modules) {
    std::ifstream lines(pth);
    for (std::string line; std::getline(lines, line);) {
        const std::string_view text = trim(line);
        if (text.empty() || text.starts_with('#') || text.starts_with("import ") ||
            text.starts_with("import\t"))
            continue;
        const fs::path named = (pth.parent_path() / text).lexically_normal();
        std::error_code ignored;
        if (fs::exists(named, ignored) && std::find(modules.begin(), modules.end(), named) == modules.end())
            modules.push_back(named);
    }
}

}  // namespace

Result<VirtualEnv> find_virtual_env(const std::string& root, const std::string& py_ver) {
    std::error_code ignored;
    const fs::path absolute = fs::absolute(root, ignored).lexically_normal();
    if (!is_folder(absolute)) return Error{"no such directory"};
    if (!is_folder(absolute / "bin")) return Error{"is no virtualenv: there is no bin in it"};
    const auto version = choose_version(absolute, py_ver);
    if (!version) return version.error();
    VirtualEnv found;
    found.root = absolute;
    found.bin = absolute / "bin";
    const fs::path site = absolute / "lib" / cat(kPython, *version) / "site-packages";
    found.site_packages = site;
    for (const auto& entry : sorted_entries(site))
        if (entry.extension() == ".pth") add_named_modules(entry, found.more_modules);
    return found;
}

}  // namespace circus::config
