// supervisord.conf: its sections. What a program's options become is in supervisor_program.cc.
#include <array>
#include <cstddef>
#include <filesystem>
#include <map>

#include "base/text.hpp"
#include "convert/ini.hpp"
#include "convert/lost.hpp"
#include "convert/readers.hpp"
#include "convert/supervisor_program.hpp"
#include "convert/supervisor_text.hpp"
#include "convert/values.hpp"

namespace circus::convert {
namespace {

constexpr std::array kLostOfDaemon{
    Lost{"nodaemon", "circusd stays in the foreground unless it is started with --daemon"},
    Lost{"minfds", "circusd raises its own limit by itself; a program's is rlimit_nofile in its watcher"},
    Lost{"minprocs", "not needed; a program's limit is rlimit_nproc in its watcher"},
    Lost{"logfile_maxbytes", "have logrotate move circusd's log and send SIGUSR1"},
    Lost{"logfile_backups", "have logrotate move circusd's log and send SIGUSR1"},
    Lost{"childlogdir", "name each log in its watcher, in stdout_stream.filename"},
    Lost{"nocleanup", "circusd makes no logs of its own naming, so there is nothing to clean up"},
    Lost{"strip_ansi", "circusd writes output as it comes"},
    Lost{"identifier", "a stack is told apart by its endpoint"},
    Lost{"user", "start circusd as this user, or give each watcher a uid"},
    Lost{"directory", "start circusd in this directory, or give each watcher a working_dir"},
    Lost{"silent", "circusd's log goes where logoutput says"},
};

// [unix_http_server] and so on, as a whole.
constexpr std::array kLostSections{
    Lost{"unix_http_server",
         "circusd's control socket is [circus] endpoint, an ipc socket that only its user may use"},
    Lost{"inet_http_server",
         "circusctl speaks to [circus] endpoint; over a network use circusctl --endpoint through ssh"},
    Lost{"supervisorctl",
         "circusctl finds the default endpoint by itself; another is given by CIRCUSCTL_ENDPOINT"},
};

class SupervisorReader {
  public:
    SupervisorReader(const std::string& file, Stack& stack) : file_(file), stack_(stack) {}

    void run(std::string_view text) {
        read_ini(file_, text, IniDialect::Supervisor, ini_, stack_.problems);
        read_includes();
        stack_.note(
            "supervisord leaves a program alone that ends with exit code 0, unless autorestart=true is "
            "given; "
            "circusd replaces whatever ends: write respawn = false for a job that is done once.");
        for (const auto& section : ini_.sections)
            if (section.name == "supervisord") read_daemon(section);
        for (const auto& section : ini_.sections) read_section(section);
    }

  private:
    void read_includes() {
        const IniSection* const include = ini_.find("include");
        if (!include) return;
        const IniOption* const files = include->find("files");
        if (!files) return stack_.problem(include->at, "[include] has no files");
        const auto expanded = expand(files->value, daemon_names());
        if (!expanded) return stack_.problem(files->at, expanded.error().text);
        const Place at = files->at;  // reading more may move the option
        for (const auto& pattern : split(in_one_line(*expanded), ' '))
            if (!pattern.empty()) read_included(pattern, at);
    }

    void read_included(const std::string& pattern, const Place& at) {
        const auto files = files_beside(file_, pattern);
        if (files.empty()) stack_.remark(at, cat("files = ", pattern), "no such file");
        for (const auto& file : files) {
            const auto text = read_source(file);
            if (!text) {
                stack_.problem(at, cat(file, " ", text.error().text));
                continue;
            }
            stack_.note(cat("Included: ", file));
            read_ini(file, *text, IniDialect::Supervisor, ini_, stack_.problems);
        }
    }

    Names daemon_names() const {
        return [here = directory()](std::string_view name) -> std::optional<std::string> {
            if (name == "here") return here;
            if (name == "host_node_name") return "$(circus.env.HOSTNAME)";
            if (name.starts_with("ENV_")) return cat("$(circus.env.", name.substr(4), ")");
            return std::nullopt;
        };
    }

    std::string directory() const {
        std::error_code ignored;
        return std::filesystem::absolute(file_, ignored).lexically_normal().parent_path().string();
    }

    void read_section(const IniSection& section) {
        const size_t colon = section.name.find(':');
        const std::string kind = section.name.substr(0, colon);
        const std::string name = colon == std::string::npos ? "" : section.name.substr(colon + 1);
        if (section.name == "supervisord" || section.name == "include") return;
        if (kind == "program" || kind == "fcgi-program")
            read_program(stack_, section, kind, name, group_of(name), daemon_names());
        else if (kind == "eventlistener")
            read_listener(section, name);
        else if (kind == "group")
            read_group(section, name);
        else if (kind == "rpcinterface")
            stack_.remark(section.at, cat("[", section.name, "]"),
                          "circusd has one protocol, Circus's; left out");
        else
            read_lost_section(section);
    }

    std::string group_of(const std::string& program) const {
        for (const auto& section : ini_.sections) {
            const std::string* const programs = section.value("programs");
            if (!section.name.starts_with("group:") || !programs) continue;
            for (const auto& member : split(*programs, ','))
                if (trim(member) == program) return section.name.substr(6);
        }
        return program;
    }

    void read_group(const IniSection& section, const std::string& name) {
        const std::string* const programs = section.value("programs");
        stack_.remark(
            section.at, cat("[", section.name, "] programs=", programs ? *programs : ""),
            cat("there are no groups: give the watchers names that begin alike, and circusctl a pattern, as "
                "in circusctl restart \"",
                name, "-*\""));
    }

    void read_listener(const IniSection& section, const std::string& name) {
        Section& listener = stack_.add("watcher", name, section.at, cat("[", section.name, "]"));
        listener.disable();
        listener.note(
            "An event listener speaks supervisord's own protocol on its standard input and output. Circus's "
            "events are published: have the program subscribe to [circus] pubsub_endpoint, or read the lines "
            "of circusctl listen.");
        for (const auto& option : section.options)
            listener.set(option.name == "command" ? "cmd" : option.name, option.value, option.at);
    }

    void read_lost_section(const IniSection& section) {
        for (const auto& lost : kLostSections) {
            if (lost.name != section.name) continue;
            std::string what = cat("[", section.name, "]");
            for (const auto& option : section.options)
                if (option.name != "password") what += cat(" ", option.name, "=", option.value);
            return stack_.remark(section.at, what, lost.advice);
        }
        stack_.remark(section.at, cat("[", section.name, "]"), "supervisord knows no such section; left out");
    }

    void read_daemon(const IniSection& section) {
        for (const auto& option : section.options) {
            const auto value = expand(option.value, daemon_names());
            if (!value)
                stack_.problem(option.at, cat(option.name, ": ", value.error().text));
            else
                read_daemon_option(option, *value);
        }
    }

    void read_daemon_option(const IniOption& option, const std::string& value) {
        const std::string& name = option.name;
        Section& circus = stack_.circus(option.at);
        if (name == "logfile")
            circus.set("logoutput", value == "/dev/stdout" || value == "/dev/stderr" ? "-" : value,
                       option.at);
        else if (name == "pidfile")
            circus.set("pidfile", value, option.at);
        else if (name == "umask")
            circus.set("umask", value, option.at);
        else if (name == "loglevel")
            read_level(circus, option, to_lower(value));
        else if (name == "environment")
            read_environment(option, value);
        else
            remark_daemon_option(circus, option);
    }

    void read_level(Section& circus, const IniOption& option, const std::string& level) {
        static const std::map<std::string, std::string> kLevels{
            {"critical", "critical"}, {"error", "error"}, {"warn", "warning"}, {"warning", "warning"},
            {"info", "info"},         {"debug", "debug"}, {"trace", "debug"},  {"blather", "debug"}};
        const auto known = kLevels.find(level);
        if (known == kLevels.end()) return stack_.problem(option.at, cat("loglevel: no such level: ", level));
        circus.set("loglevel", known->second, option.at);
    }

    void read_environment(const IniOption& option, const std::string& value) {
        const auto variables = parse_environment(value);
        if (!variables) return stack_.problem(option.at, cat("environment: ", variables.error().text));
        for (const auto& [name, content] : *variables)
            set_literal_variable(stack_.env(option.at), name, content, option.at);
    }

    void remark_daemon_option(Section& circus, const IniOption& option) {
        const std::string what = cat(option.name, "=", option.value);
        for (const auto& lost : kLostOfDaemon)
            if (lost.name == option.name) return circus.remark(option.at, what, lost.advice);
        circus.remark(option.at, what, "supervisord knows no such option; left out");
    }

    const std::string file_;
    Stack& stack_;
    Ini ini_;
};

}  // namespace

void read_supervisor(const std::string& file, std::string_view text, Stack& stack) {
    SupervisorReader(file, stack).run(text);
}

}  // namespace circus::convert
