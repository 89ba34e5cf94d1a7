#include "command.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace command_reloader {

namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

bool is_file(const std::string& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

std::string text_of(const Json& options, const char* key) {
    const auto at = options.find(key);
    return at != options.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::string absolute(const std::string& path, const std::string& directory) {
    return (fs::path(directory) / path).lexically_normal().string();
}

// The interpreters whose first argument that is no option is a script, python3.11 and the like included.
bool is_interpreter(const std::string& program) {
    constexpr std::array<std::string_view, 16> kNames{"python", "pypy", "sh",   "bash",   "dash", "zsh",
                                                      "ksh",    "perl", "ruby", "node",   "php",  "lua",
                                                      "tclsh",  "deno", "bun",  "Rscript"};
    std::string name = fs::path(program).filename().string();
    name.resize(name.find_last_not_of("0123456789.-") + 1);
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

bool is_assignment(const std::string& word) {
    const auto equals = word.find('=');
    return equals != word.npos && equals > 0 && word.find('/') > equals;
}

std::string search_path(const Json& options, const std::string& daemons) {
    std::string path = daemons;
    const auto env = options.find("env");
    if (env != options.end() && env->is_object() && env->contains("PATH")) {
        path = text_of(*env, "PATH");
        for (const std::string_view mark : {"${PATH}", "$PATH"})
            for (auto at = path.find(mark); at != path.npos; at = path.find(mark, at + daemons.size()))
                path.replace(at, mark.size(), daemons);
    }
    const std::string virtualenv = text_of(options, "virtualenv");
    return virtualenv.empty() ? path : virtualenv + "/bin:" + path;
}

// Empty: it is not found.
std::string program_path(const std::string& program, const std::string& directory, const std::string& path) {
    if (program.find('/') != program.npos) return absolute(program, directory);
    for (std::size_t from = 0; from <= path.size();) {
        const std::size_t to = std::min(path.find(':', from), path.size());
        const std::string candidate = absolute(path.substr(from, to - from) + "/" + program, directory);
        if (is_file(candidate) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
        from = to + 1;
    }
    return {};
}

// Nothing: it runs a module, a text, or its standard input.
std::optional<std::string> script_of(const Words& words, std::size_t from, const std::string& directory) {
    std::optional<std::string> first;
    for (std::size_t i = from; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "-m" || word == "-c" || word == "-e" || word == "-") break;
        if (word.empty() || word.front() == '-') continue;
        const std::string path = absolute(word, directory);
        if (is_file(path)) return path;
        if (!first) first = path;
    }
    return first;
}

}  // namespace

Words split_words(std::string_view text) {
    Words words;
    std::string word;
    bool within = false;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool escapes = c == '\\' && quote != '\'' && i + 1 < text.size();
        if (escapes && (quote == 0 || std::strchr("\\\"$`", text[i + 1]) != nullptr)) {
            word += text[++i];
            within = true;
        } else if (quote != 0 ? c == quote : c == '\'' || c == '"') {
            quote = quote != 0 ? '\0' : c;
            within = true;
        } else if (quote == 0 && std::strchr(" \t\r\n", c) != nullptr) {
            if (within) words.push_back(std::move(word));
            word.clear();
            within = false;
        } else {
            word += c;
            within = true;
        }
    }
    if (within) words.push_back(std::move(word));
    return words;
}

std::vector<CommandFile> files_of(const Json& options, const std::string& daemons_path) {
    Words words = split_words(text_of(options, "cmd"));
    if (const auto args = options.find("args"); args != options.end()) {
        if (args->is_string())
            for (std::string& word : split_words(args->get<std::string>())) words.push_back(std::move(word));
        else if (args->is_array())
            for (const Json& word : *args)
                if (word.is_string()) words.push_back(word.get<std::string>());
    }
    const std::string directory = text_of(options, "working_dir");
    const std::string path = search_path(options, daemons_path);
    // What comes before the program in the command of a shell, or behind env.
    std::size_t at = 0;
    const auto is_prefix = [](const std::string& word) {
        return word == "exec" || is_assignment(word) || fs::path(word).filename() == "env";
    };
    while (at < words.size() && is_prefix(words[at])) ++at;
    if (at == words.size()) return {};
    std::vector<CommandFile> files;
    const std::string executable = text_of(options, "executable");
    const std::string program = program_path(executable.empty() ? words[at] : executable, directory, path);
    if (!program.empty()) files.push_back({program, true});
    if (is_interpreter(program.empty() ? words[at] : program))
        if (const auto script = script_of(words, at + 1, directory)) files.push_back({*script, false});
    // A path with the wid in it is a different file in each slot; nothing of that name is there.
    std::erase_if(files, [](const CommandFile& file) {
        return file.path.find("circus.") != file.path.npos && !is_file(file.path);
    });
    return files;
}

}  // namespace command_reloader
