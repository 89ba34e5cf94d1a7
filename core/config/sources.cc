#include "config/sources.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <glob.h>
#include <iterator>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <utility>

#include "base/text.hpp"
#include "config/fault.hpp"
#include "config/substitute.hpp"

namespace circus::config {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFile = std::uintmax_t{16} << 20;

// What stands at `path`, or the reason why there is nothing to read. A fifo or a device could block or never
// end.
Result<std::string> read_file(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return sys_error("cannot be read", errno);
    if (S_ISDIR(info.st_mode)) return sys_error("cannot be read", EISDIR);
    if (!S_ISREG(info.st_mode)) return Error{"cannot be read: not a regular file"};
    if (static_cast<std::uintmax_t>(info.st_size) > kLargestFile)
        return Error{"cannot be read: larger than 16 MiB"};
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in) return sys_error("cannot be read", errno ? errno : EIO);
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (in.bad()) return sys_error("cannot be read", EIO);
    return text;
}

struct Found {
    std::string shown;  // as given in `include`
    std::string path;
};

// A path as a pattern that matches only itself.
std::string literal(const std::string& path) {
    std::string pattern;
    for (const char c : path) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') pattern += '\\';
        pattern += c;
    }
    return pattern;
}

// The files a pattern names, sorted; empty: none.
std::vector<Found> match(const std::string& pattern, const fs::path& directory) {
    const bool relative = fs::path(pattern).is_relative();
    const std::string full = relative ? literal((directory / "").string()) + pattern : pattern;
    const std::string prefix = relative ? (directory / "").string() : std::string();
    glob_t matches{};
    const int result = ::glob(full.c_str(), 0, nullptr, &matches);
    std::vector<Found> found;
    for (size_t i = 0; result == 0 && i < matches.gl_pathc; ++i) {
        std::string path = matches.gl_pathv[i];
        std::string shown = path.starts_with(prefix) ? path.substr(prefix.size()) : path;
        found.push_back({std::move(shown), std::move(path)});
    }
    ::globfree(&matches);
    return found;
}

// Names of watchers, sockets and plugins are matched without case, options as they are.
Entry* find_same(Entry& table, const std::string& key, bool any_case) {
    const auto found = std::find_if(table.entries.begin(), table.entries.end(), [&](const Entry& entry) {
        return any_case ? equals_ignoring_case(entry.key, key) : entry.key == key;
    });
    return found == table.entries.end() ? nullptr : &*found;
}

bool holds_named_sections(const std::string& section) {
    return section == "watcher" || section == "socket" || section == "plugin";
}

// Adds to `into` what it lacks. Down to the options of a section and no deeper: an option is one thing, even
// where it is a table. The groups of [env] are sections too.
void fill(Entry& into, Entry&& from, int depth, bool any_case) {
    for (auto& entry : from.entries) {
        Entry* const same = find_same(into, entry.key, any_case);
        if (!same) {
            into.entries.push_back(std::move(entry));
        } else if (depth > 0 && same->is_table && entry.is_table) {
            const bool named = depth == 2 && holds_named_sections(entry.key);
            const bool groups = depth == 2 && entry.key == "env";
            fill(*same, std::move(entry), named || groups ? 1 : 0, named);
        }
    }
}

class Reader {
  public:
    Reader(Sources& sources, const std::string& main_file, const std::vector<std::string>& environment)
        : sources_(sources), directory_(fs::path(main_file).parent_path()), environment_(environment) {}

    // The document of one file with all that it includes; nullopt: it could not be read (told already).
    // `asked` is where it is included, null for the main file.
    std::optional<Entry> read(const Found& file, const Entry* asked) {
        std::error_code ignored;
        const std::string identity = fs::weakly_canonical(file.path, ignored).string();
        if (std::find(open_.begin(), open_.end(), identity) != open_.end()) {
            error(asked->at, cat("\"", file.shown, "\" includes itself by way of ", chain(identity)));
            return std::nullopt;
        }
        if (std::find(done_.begin(), done_.end(), identity) != done_.end()) return std::nullopt;

        const auto text = read_file(file.path);
        const int index = static_cast<int>(sources_.files.size());
        sources_.files.push_back(file.shown);
        if (!text) {
            if (asked)
                error(asked->at, cat("\"", file.shown, "\" ", text.error().text));
            else
                error({index, 0, 0}, text.error().text);
            return std::nullopt;
        }
        auto parsed = parse_document(*text, index);
        if (const auto* problem = std::get_if<SyntaxError>(&parsed)) {
            error(problem->at, problem->text);
            return std::nullopt;
        }
        Entry document = std::get<Entry>(std::move(parsed));
        open_.push_back(identity);
        shown_.push_back(file.shown);
        include_into(document);
        open_.pop_back();
        shown_.pop_back();
        done_.push_back(identity);
        return document;
    }

  private:
    void error(Position at, std::string text) {
        sources_.errors.push_back(
            {sources_.files[static_cast<size_t>(at.file)], at.line, at.column, std::move(text)});
    }

    std::string chain(const std::string& identity) const {
        const auto from = std::find(open_.begin(), open_.end(), identity) - open_.begin();
        std::vector<std::string> names(shown_.begin() + from, shown_.end());
        for (auto& name : names) name = cat("\"", name, "\"");
        return join(names, ", ");
    }

    void include_into(Entry& document) {
        Entry* const circus = find_same(document, "circus", false);
        if (!circus || !circus->is_table) return;
        std::vector<std::pair<Found, Entry>> wanted;
        for (const auto& entry : circus->entries)
            if (entry.key == "include" || entry.key == "include_dir")
                for (auto& file : named_by(entry)) wanted.emplace_back(std::move(file), entry);
        std::erase_if(circus->entries,
                      [](const Entry& e) { return e.key == "include" || e.key == "include_dir"; });
        for (const auto& [file, entry] : wanted)
            if (auto included = read(file, &entry)) fill(document, std::move(*included), 2, false);
    }

    std::vector<Found> named_by(const Entry& entry) {
        std::vector<Found> files;
        const Json given = entry.to_json();
        const Json list = given.is_array() ? given : Json::array({given});
        for (const auto& element : list) {
            if (!element.is_string()) {
                const Fault fault{Fault::Kind::WrongType, entry.key, {}, ValueType::TextOrList, {}, {}, 3};
                error(entry.at, file_text(fault, "circus", given));
                return {};
            }
            const auto& written = element.get_ref<const std::string&>();
            add_matches(entry, substitute(written, environment_lookup(environment_)), files);
        }
        return files;
    }

    void add_matches(const Entry& entry, const std::string& name, std::vector<Found>& files) {
        const auto complain = [&](std::string_view reason) {
            error(entry.at, cat(entry.key, " = ", toml_text(name), " in [circus]: ", reason));
        };
        const bool is_directory = entry.key == "include_dir";
        std::error_code ignored;
        if (is_directory && !fs::is_directory(directory_ / name, ignored)) {
            complain("no such directory");
            return;
        }
        const auto found =
            match(is_directory ? literal((fs::path(name) / "").string()) + "*.toml" : name, directory_);
        if (found.empty()) {
            if (!is_directory && name.find_first_of("*?[") == std::string::npos)
                complain("no such file");
            else
                sources_.warnings.push_back(
                    {sources_.files[static_cast<size_t>(entry.at.file)], entry.at.line, entry.at.column,
                     cat(entry.key, " = ", toml_text(name), " in [circus] finds no file")});
        }
        files.insert(files.end(), found.begin(), found.end());
    }

    Sources& sources_;
    const fs::path directory_;  // of the main file: all paths are relative to it, whoever includes
    const std::vector<std::string>& environment_;
    std::vector<std::string> open_;   // the files being read, outermost first
    std::vector<std::string> shown_;  // the same as given
    std::vector<std::string> done_;
};

}  // namespace

Sources read_sources(const std::string& file, const std::vector<std::string>& environment) {
    Sources sources;
    auto document = Reader(sources, file, environment).read({file, file}, nullptr);
    sources.readable = document.has_value();
    if (document) sources.document = std::move(*document);
    return sources;
}

}  // namespace circus::config
