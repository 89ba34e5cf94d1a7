// circus.ini. Most options keep their names; what is left is Python's: hooks, foreign plugins and stream
// classes by dotted paths, configparser's %(name)s, and includes, which are merged in.
#include <algorithm>
#include <map>
#include <optional>

#include "base/text.hpp"
#include "convert/circus_options.hpp"
#include "convert/circus_plugins.hpp"
#include "convert/ini.hpp"
#include "convert/readers.hpp"
#include "convert/values.hpp"

namespace circus::convert {
namespace {

std::string replaced(std::string_view text, std::string_view from, const std::string& to) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        if (equals_ignoring_case(text.substr(at, from.size()), from)) {
            out += to;
            at += from.size();
        } else {
            out += text[at++];
        }
    }
    return out;
}

class CircusReader {
  public:
    CircusReader(const std::string& file, Stack& stack) : file_(file), stack_(stack) {}

    void run(std::string_view text) {
        read_ini(file_, text, IniDialect::Circus, ini_, stack_.problems);
        read_includes();
        fill_in();
        for (const auto& option : ini_.ignored)
            stack_.remark(option.at, option.name,
                          "given twice; Circus takes the first, and so does this file");
        if (const IniSection* circus = ini_.find("circus")) read_circus(*circus);
        if (!find_option("circus", "endpoint"))
            stack_.note(
                "No endpoint is given, so circusctl and circusd meet at an ipc socket that only you may use. "
                "Circus listens on tcp://127.0.0.1:5555, open to every local user: for tools that look "
                "there, "
                "write endpoint = \"tcp://127.0.0.1:5555\" into [circus].");
        for (const auto& section : ini_.sections) read_section(section);
    }

  private:
    void read_includes() {
        std::vector<std::string> patterns;
        const auto add = [&](const char* option, std::string_view behind) {
            const IniOption* const given = find_option("circus", option);
            if (!given) return;
            for (const auto& word : split(in_one_line(given->value), ' '))
                if (!word.empty()) include(*given, word + std::string(behind));
        };
        add("include", "");
        add("include_dir", "/*.ini");
    }

    void include(const IniOption& option, const std::string& pattern) {
        const auto files = files_beside(file_, pattern);
        if (files.empty()) stack_.remark(option.at, cat(option.name, " = ", pattern), "no such file");
        for (const auto& file : files) {
            const auto text = read_source(file);
            if (!text) {
                stack_.problem(option.at, cat(file, " ", text.error().text));
                continue;
            }
            stack_.note(cat("Included: ", file));
            read_ini(file, *text, IniDialect::Circus, ini_, stack_.problems);
        }
    }

    // configparser's own substitution, the options of [DEFAULT], and variables that [env] defines.
    void fill_in() {
        const IniSection* const defaults = ini_.find("DEFAULT");
        if (defaults)
            for (auto& section : ini_.sections)
                for (const auto& option : defaults->options)
                    if (&section != defaults && !section.find(option.name)) section.options.push_back(option);
        for (auto& section : ini_.sections) {
            const IniSection before = section;
            for (auto& option : section.options)
                option.value = interpolated(option.value, before, option.at, 0);
        }
        const IniSection* const env = ini_.find("env");
        if (!env) return;
        for (const auto& variable : env->options)
            if (!is_overridden(variable.name)) variables_["env." + to_lower(variable.name)] = variable.value;
    }

    bool is_overridden(const std::string& name) const {
        return std::any_of(ini_.sections.begin(), ini_.sections.end(), [&](const IniSection& section) {
            return section.name.starts_with("env:") &&
                   std::any_of(section.options.begin(), section.options.end(), [&](const IniOption& option) {
                       return equals_ignoring_case(option.name, name);
                   });
        });
    }

    std::string interpolated(std::string_view text, const IniSection& section, const Place& at, int depth) {
        std::string out;
        for (size_t i = 0; i < text.size(); ++i) {
            const std::string_view rest = text.substr(i);
            const size_t end = rest.find(")s");
            if (rest.starts_with("%%")) {
                out += '%';
                ++i;
            } else if (rest.starts_with("%(") && end != std::string_view::npos) {
                const std::string name(rest.substr(2, end - 2));
                const std::string* const value = section.value(name);
                if (!value)
                    stack_.problem(at,
                                   cat("%(", name, ")s: [", section.name, "] has no option of this name"));
                else if (depth > 9)
                    stack_.problem(at, cat("%(", name, ")s refers to itself"));
                else
                    out += interpolated(*value, section, at, depth + 1);
                i += end + 1;
            } else {
                out += text[i];
            }
        }
        return out;
    }

    // $(circus.NAME) for the names in `values`: what circusd itself would not know.
    std::string substituted(std::string text, const std::map<std::string, std::string>& values) const {
        for (const auto& [name, value] : values) {
            text = replaced(text, cat("$(circus.", name, ")"), value);
            text = replaced(text, cat("((circus.", name, "))"), value);
        }
        return text;
    }

    const IniOption* find_option(std::string_view section, std::string_view option) const {
        const IniSection* const found = ini_.find(section);
        return found ? found->find(option) : nullptr;
    }

    void read_section(const IniSection& section) {
        const auto name_behind = [&section](std::string_view prefix) -> std::optional<std::string> {
            if (!section.name.starts_with(prefix)) return std::nullopt;
            return section.name.substr(prefix.size());
        };
        if (section.name == "circus" || section.name == "DEFAULT" || section.options.empty()) return;
        if (section.name == "env")
            read_variables(section, stack_.env(section.at));
        else if (const auto patterns = name_behind("env:"))
            read_variables(section, stack_.add("env", *patterns, section.at, cat("[", section.name, "]")));
        else if (const auto watcher = name_behind("watcher:"))
            read_watcher(section, *watcher);
        else if (const auto socket = name_behind("socket:"))
            read_socket(section, *socket);
        else if (const auto plugin = name_behind("plugin:"))
            read_plugin(section, *plugin);
        else
            stack_.remark(section.at, cat("[", section.name, "]"), "Circus knows no such section; left out");
    }

    // An option of [DEFAULT], which stands in every section, where it means nothing.
    bool is_idle_default(KnownOptions known, const IniOption& option) const {
        const IniOption* const given = find_option("DEFAULT", option.name);
        return given && given->at.file == option.at.file && given->at.line == option.at.line &&
               !find_known(known, option.name);
    }

    void read_circus(const IniSection& section) {
        Section& circus = stack_.circus(section.at);
        for (const auto& option : section.options) {
            if (option.name == "include" || option.name == "include_dir" ||
                is_idle_default(circus_options(), option))
                continue;
            const std::string value = substituted(option.value, variables_);
            if (const auto lost = advice_for_lost(option.name))
                circus.remark(option.at, option.name, *lost);
            else if (option.name == "loglevel")
                circus.set("loglevel", to_lower(value), option.at);
            else if (option.name == "logoutput" && value == "stdout")
                circus.set("logoutput", "-", option.at);
            else if (const KnownOption* known = find_known(circus_options(), option.name))
                set_value(stack_, circus, option.name, value, known->kind, option.at, option.name);
            else
                circus.remark(option.at, cat(option.name, " = ", option.value),
                              "Circus has no such option; left out");
        }
    }

    void read_variables(const IniSection& section, Section& env) {
        for (const auto& option : section.options) env.set(option.name, option.value, option.at);
    }

    void read_socket(const IniSection& section, const std::string& name) {
        Section& socket = stack_.add("socket", name, section.at, cat("[", section.name, "]"));
        for (const auto& option : section.options) {
            if (is_idle_default(circus_socket_options(), option)) continue;
            const std::string value = substituted(option.value, variables_);
            if (const auto lost = advice_for_lost(option.name))
                socket.remark(option.at, option.name, *lost);
            else if (const KnownOption* known = find_known(circus_socket_options(), option.name))
                set_value(stack_, socket, option.name, value, known->kind, option.at, option.name);
            else
                socket.remark(option.at, cat(option.name, " = ", option.value),
                              "Circus has no such option; left out");
        }
        if (!socket.has("path")) return;
        for (const char* useless : {"host", "port"})
            if (const Line* line = socket.find(useless)) {
                const Place at = line->at;
                std::erase_if(socket.lines(), [useless](const Line& l) { return l.key == useless; });
                socket.remark(at, useless, "not used by a socket with a path");
            }
    }

    void read_plugin(const IniSection& section, const std::string& name) {
        Section& plugin = stack_.add("plugin", name, section.at, cat("[", section.name, "]"));
        const std::string* const use = section.value("use");
        const CircusPlugin* const own = use ? find_circus_plugin(*use) : nullptr;
        if (own) return read_own_plugin(plugin, section, *own);
        plugin.disable();
        plugin.note(
            "A Python plugin is not loaded by circusd. Run it from outside, as a watcher with Circus's "
            "circus-plugin, or write it anew as a shared library.");
        for (const auto& option : section.options) plugin.set(option.name, option.value, option.at);
    }

    void read_own_plugin(Section& plugin, const IniSection& section, const CircusPlugin& own) {
        for (const auto& option : section.options) {
            const IniOption* const given = find_option("DEFAULT", option.name);
            if (option.name == "use")
                plugin.set("use", std::string(name_of(own)), option.at);
            else if (!given || given->at.line != option.at.line || given->at.file != option.at.file)
                convert_plugin_option(stack_, plugin, own, option.name, option.name,
                                      substituted(option.value, variables_), option.at);
        }
        finish_plugin(stack_, plugin, own);
    }

    // The plugin that a watcher's option "flapping.max_retry" is for, if circusd's is among the plugins.
    const CircusPlugin* overridden_plugin(const std::string& option) const {
        const CircusPlugin* const own = find_circus_plugin_by_name(option.substr(0, option.find('.')));
        const auto uses_it = [own](const IniSection& section) {
            const std::string* const use = section.value("use");
            return section.name.starts_with("plugin:") && use && find_circus_plugin(*use) == own;
        };
        return own && std::any_of(ini_.sections.begin(), ini_.sections.end(), uses_it) ? own : nullptr;
    }

    void read_watcher(const IniSection& section, const std::string& name) {
        Section& watcher = stack_.add("watcher", name, section.at, cat("[", section.name, "]"));
        std::map<std::string, std::string> values = variables_;
        for (const auto& option : section.options)
            if (is_free(option.name)) values[to_lower(option.name)] = option.value;
        for (const auto& option : section.options)
            if (!is_idle_default(circus_watcher_options(), option))
                read_watcher_option(watcher, option, substituted(option.value, values));
        join_lines(watcher);
        finish_stream(watcher, "stdout_stream");
        finish_stream(watcher, "stderr_stream");
    }

    // A command over several lines is one line, but for a shell, where they are lines of a script.
    static void join_lines(Section& watcher) {
        const Line* const shell = watcher.find("shell");
        if (shell && shell->value == true) return;
        for (auto& line : watcher.lines())
            if (line.key == "cmd" || line.key == "args")
                line.value = in_one_line(line.value.get<std::string>());
    }

    static bool is_free(const std::string& name) {
        return !find_known(circus_watcher_options(), name) && !advice_for_lost(name) &&
               name.find('.') == std::string::npos && !name.starts_with("rlimit_");
    }

    void read_watcher_option(Section& watcher, const IniOption& option, const std::string& value) {
        const std::string& name = option.name;
        if (name.starts_with("stdout_stream.") || name.starts_with("stderr_stream.")) {
            read_stream_option(watcher, option, value);
        } else if (name.starts_with("hooks.")) {
            watcher.remark(
                option.at, cat(name, " = ", value),
                cat("a Python function is not called by circusd; write what it does as a command, ", name,
                    " = {exec = \"…\"}, or as a function of a shared library"));
        } else if (name.starts_with("rlimit_")) {
            if (value.empty())
                watcher.set(name, "unlimited", option.at);
            else
                set_value(stack_, watcher, name, value, ValueKind::Integer, option.at, name);
        } else if (const auto lost = advice_for_lost(name)) {
            watcher.remark(option.at, cat(name, " = ", value), *lost);
        } else if (const KnownOption* known = find_known(circus_watcher_options(), name)) {
            set_value(stack_, watcher, name, value, known->kind, option.at, name);
        } else if (const CircusPlugin* own = overridden_plugin(name)) {
            convert_plugin_option(stack_, watcher, *own, name, name.substr(name.find('.') + 1), value,
                                  option.at);
        } else if (name.find('.') != std::string::npos) {
            watcher.remark(option.at, cat(name, " = ", value),
                           "an option for a plugin; left out with the plugin");
        } else {
            watcher.remark(option.at, cat(name, " = ", value),
                           cat("an option of your own; $(circus.", name, ") is filled in here"));
        }
    }

    void read_stream_option(Section& watcher, const IniOption& option, const std::string& value) {
        const std::string member = option.name.substr(option.name.find('.') + 1);
        if (member == "class") {
            const auto known = own_stream_class(value);
            if (known) return watcher.set(option.name, *known, option.at);
            watcher.remark(
                option.at, cat(option.name, " = ", value),
                "a stream class in Python is not loaded by circusd; the output goes to circusd's own");
            foreign_.push_back(cat(watcher.name(), option.name.substr(0, option.name.find('.'))));
        } else if (const KnownOption* known = find_known(circus_stream_options(), member)) {
            set_value(stack_, watcher, option.name, value, known->kind, option.at, option.name);
        } else if (const auto lost = advice_for_lost(member)) {
            watcher.remark(option.at, cat(option.name, " = ", value), *lost);
        } else {
            watcher.remark(option.at, cat(option.name, " = ", value),
                           "no option of circusd's streams; left out");
        }
    }

    // A filename alone makes a FileStream; the options of a class that is not there go with it; a limit
    // without backups never rotates in Circus.
    void finish_stream(Section& watcher, const std::string& stream) {
        const bool foreign =
            std::find(foreign_.begin(), foreign_.end(), watcher.name() + stream) != foreign_.end();
        if (foreign) {
            for (auto& line : watcher.lines())
                if (line.kind == Line::Kind::Option && line.key.starts_with(stream + "."))
                    line.kind = Line::Kind::Disabled;
            return;
        }
        const Line* const filename = watcher.find(stream + ".filename");
        if (filename && !watcher.has(stream + ".class"))
            watcher.set(stream + ".class", "FileStream", filename->at);
        const Line* const limit = watcher.find(stream + ".max_bytes");
        const Line* const backups = watcher.find(stream + ".backup_count");
        if (!limit || limit->value == 0 || (backups && backups->value != 0)) return;
        const Place at = limit->at;
        const std::string what = cat(stream, ".max_bytes = ", limit->value.dump());
        std::erase_if(watcher.lines(), [&](const Line& line) { return line.key == stream + ".max_bytes"; });
        watcher.remark(at, what, "without backup_count Circus never rotates; give one to have it rotated");
    }

    const std::string file_;
    Stack& stack_;
    Ini ini_;
    std::map<std::string, std::string> variables_;  // "env.name" of [env]
    std::vector<std::string> foreign_;              // streams whose class is Python: watcher and stream
};

}  // namespace

void read_circus_ini(const std::string& file, std::string_view text, Stack& stack) {
    CircusReader(file, stack).run(text);
}

}  // namespace circus::convert
