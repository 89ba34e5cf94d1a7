#include "control/new_plugin.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/new_file.hpp"
#include "control/output.hpp"
#include "control/plugin_template.hpp"

namespace circus::control {

namespace {

constexpr std::size_t kLongestName = 64;
// Targets of every CMake project, and what else `circusctl plugin NAME` means.
constexpr std::array<std::string_view, 14> kTaken{
    "all",     "clean",   "depend",  "disable",        "edit_cache", "enable", "help",
    "install", "package", "restart", "package_source", "preinstall", "test",   "rebuild_cache"};

// It becomes the name of files, of a target of CMake and of a crate. Empty: good.
std::string problem_of(std::string_view name) {
    const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto may_follow = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; };
    if (name.empty() || name.size() > kLongestName || !is_letter(name[0]) ||
        !std::all_of(name.begin(), name.end(), may_follow))
        return cat("a name is a small letter and then small letters, digits and _, at most ", kLongestName,
                   " in all");
    if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end())
        return "this word means something else to CMake or to circusctl plugin; take another";
    return {};
}

std::string renamed(std::string_view text, const std::string& name) {
    std::string out;
    for (std::size_t at = text.find(kTemplateName); at != std::string_view::npos;
         at = text.find(kTemplateName)) {
        out += cat(text.substr(0, at), name);
        text.remove_prefix(at + kTemplateName.size());
    }
    return out + std::string(text);
}

Status make_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0777) == 0) return Ok{};
    return sys_error(cat(path, ": cannot be made"), errno);
}

// What one call made, to be taken away again unless all of it could be made.
class NewFolder {
  public:
    ~NewFolder() {
        for (auto path = made_.rbegin(); path != made_.rend(); ++path)
            if (::unlink(path->c_str()) != 0) ::rmdir(path->c_str());
    }
    NewFolder() = default;
    NewFolder(const NewFolder&) = delete;
    NewFolder& operator=(const NewFolder&) = delete;

    Status make(const std::string& name, std::string_view language) {
        if (Status made = folder(name); !made) return made;
        for (const TemplateFile& file : plugin_template()) {
            if (file.language != language) continue;
            const std::string path = cat(name, "/", renamed(file.path, name));
            const std::string parent = path.substr(0, path.rfind('/'));
            if (std::find(made_.begin(), made_.end(), parent) == made_.end())
                if (Status made = folder(parent); !made) return made;
            if (Status written = write_new_file(path, renamed(file.text, name)); !written) return written;
            made_.push_back(path);
        }
        return Ok{};
    }
    void keep() { made_.clear(); }

  private:
    Status folder(const std::string& path) {
        Status made = make_folder(path);
        if (made) made_.push_back(path);
        return made;
    }

    std::vector<std::string> made_;
};

}  // namespace

int run_new_plugin(const Json& properties) {
    const std::string name = properties.value("name", "");
    const std::string language = properties.value("lang", "cpp");
    if (const std::string problem = problem_of(name); !problem.empty())
        return complain(cat("circusctl: plugin new ", py_repr(name), ": ", problem), Exit::Failed);
    if (std::none_of(plugin_template().begin(), plugin_template().end(),
                     [&](const TemplateFile& file) { return file.language == language; }))
        return complain(cat("circusctl: no such language: ", py_repr(language), "; there are c, cpp, rust"),
                        Exit::Usage);
    struct stat there {};
    if (::lstat(name.c_str(), &there) == 0)
        return complain(cat("circusctl: ", name, ": exists already; take another name, or remove it"),
                        Exit::Failed);
    NewFolder folder;
    if (const Status made = folder.make(name, language); !made)
        return complain(cat("circusctl: ", made.error().text), Exit::Failed);
    folder.keep();
    say(cat("made ", name, "; ", name, "/README.md says how to build, test and run it"));
    return static_cast<int>(Exit::Ok);
}

}  // namespace circus::control
