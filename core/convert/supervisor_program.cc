#include "convert/supervisor_program.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.hpp"
#include "convert/lost.hpp"
#include "convert/values.hpp"

namespace circus::convert {
namespace {

constexpr long long kMostProcesses = 1000;
constexpr long long kLogLimit = 50LL << 20;  // supervisord's own defaults
constexpr long long kLogBackups = 10;
constexpr long long kStopWaitSeconds = 10;

constexpr std::array kLostOfProgram{
    Lost{"exitcodes", "circusd replaces a program whatever its exit code; write respawn = false for a job"},
    Lost{"killasgroup", "circusd's SIGKILL always goes to the process and all its descendants (kill_tree)"},
    Lost{"serverurl", "a program that asks circusd reads CIRCUSCTL_ENDPOINT; set it in env if it needs to"},
    Lost{"stdout_capture_maxbytes", "there are no process communication events; see circusctl listen"},
    Lost{"stderr_capture_maxbytes", "there are no process communication events; see circusctl listen"},
    Lost{"stdout_events_enabled", "output is not published as events; read the stream's file"},
    Lost{"stderr_events_enabled", "output is not published as events; read the stream's file"},
    Lost{"stdout_syslog",
         "have the program log to syslog itself, or pipe it: cmd = \"… | logger\" with shell = true"},
    Lost{"stderr_syslog",
         "have the program log to syslog itself, or pipe it: cmd = \"… | logger\" with shell = true"},
    Lost{"process_name", "a watcher has one name; its processes are told apart by $(circus.wid)"},
};

// Read together with another option.
constexpr std::array<std::string_view, 14> kReadElsewhere{"numprocs",
                                                          "numprocs_start",
                                                          "redirect_stderr",
                                                          "stdout_logfile",
                                                          "stderr_logfile",
                                                          "socket",
                                                          "stdout_logfile_maxbytes",
                                                          "stderr_logfile_maxbytes",
                                                          "stdout_logfile_backups",
                                                          "socket_owner",
                                                          "stderr_logfile_backups",
                                                          "socket_mode",
                                                          "socket_backlog",
                                                          "environment"};

class Program {
  public:
    Program(Stack& stack, const IniSection& section, const std::string& name, const std::string& group,
            const Names& outer)
        : stack_(stack), section_(section), name_(name), group_(group), outer_(outer) {}

    void run(bool fastcgi) {
        count_ = integer("numprocs", 1, 0, kMostProcesses);
        start_ = integer("numprocs_start", 0, 0, 1LL << 30);
        if (fastcgi) make_socket();
        const bool numbered = count_ != 1 && needs_number();
        if (!numbered) {
            number_ = count_ == 1 ? std::to_string(start_) : "$(circus.wid)";
            return make_watcher(name_, fastcgi, count_);
        }
        for (long long i = 0; i < count_; ++i) {
            number_ = std::to_string(start_ + i);
            make_watcher(numbered_name(start_ + i), fastcgi, 1);
        }
    }

  private:
    // The number of a process is in what it runs as: only then must it be the same as before.
    bool needs_number() const {
        for (const char* option : {"command", "environment", "directory"})
            if (const std::string* value = section_.value(option); value && names_process(*value))
                return true;
        return false;
    }

    // As supervisord called the process, where it was told to.
    std::string numbered_name(long long number) {
        if (const IniOption* given = section_.find("process_name"); given && names_process(given->value))
            if (const auto name = text("process_name")) return *name;
        char digits[24];
        std::snprintf(digits, sizeof digits, "%02lld", number);
        return cat(name_, "_", std::string_view(digits));
    }

    Names names() const {
        return [this](std::string_view name) -> std::optional<std::string> {
            if (name == "program_name") return name_;
            if (name == "group_name") return group_;
            if (name == "process_num") return number_;
            if (name == "numprocs") return std::to_string(count_);
            return outer_(name);
        };
    }

    // The option's text, expanded; nullopt: not given, or a problem that is noted.
    std::optional<std::string> text(std::string_view option) {
        const IniOption* const given = section_.find(option);
        if (!given) return std::nullopt;
        auto expanded = expand(given->value, names());
        if (expanded) return std::move(*expanded);
        complain(*given, expanded.error().text);
        return std::nullopt;
    }

    // Each problem once, however many watchers are made.
    void complain(const IniOption& option, const std::string& problem) {
        const std::string text = cat(option.name, ": ", problem);
        const bool known = std::any_of(stack_.problems.begin(), stack_.problems.end(), [&](const Problem& p) {
            return p.at.file == option.at.file && p.at.line == option.at.line && p.text == text;
        });
        if (!known) stack_.problem(option.at, text);
    }

    long long integer(std::string_view option, long long otherwise, long long low, long long high) {
        const IniOption* const given = section_.find(option);
        if (!given) return otherwise;
        const auto number = parse_int(trim(given->value));
        if (number && *number >= low && *number <= high) return *number;
        complain(*given, cat("must be a number from ", low, " to ", high, ", not \"", given->value, "\""));
        return otherwise;
    }

    void make_watcher(const std::string& name, bool fastcgi, long long count) {
        Section& watcher = stack_.add("watcher", name, section_.at, cat("[", section_.name, "]"));
        if (count != 1) watcher.set("numprocesses", count, place("numprocs"));
        if (count != count_ && number_ == std::to_string(start_))
            watcher.note(cat("One watcher for each of the ", count_,
                             " processes: supervisord gave each a number of its own, from ", start_, " on."));
        for (const auto& option : section_.options) read(watcher, option);
        watcher.set("copy_env", true, section_.at);
        if (!watcher.has("graceful_timeout")) watcher.set("graceful_timeout", kStopWaitSeconds, section_.at);
        if (fastcgi) watcher.set("stdin_socket", name_, place("socket"));
        read_environment(watcher);
        read_logs(watcher, count);
    }

    Place place(std::string_view option) const {
        const IniOption* const given = section_.find(option);
        return given ? given->at : section_.at;
    }

    void read(Section& watcher, const IniOption& option) {
        const std::string& name = option.name;
        if (std::find(kReadElsewhere.begin(), kReadElsewhere.end(), name) != kReadElsewhere.end()) return;
        const auto value = text(name);
        if (!value) return;
        const auto set = [&](std::string_view key, ValueKind kind) {
            set_value(stack_, watcher, key, *value, kind, option.at, name);
        };
        if (name == "command")
            watcher.set("cmd", in_one_line(*value), option.at);
        else if (name == "directory")
            set("working_dir", ValueKind::Text);
        else if (name == "user")
            set("uid", ValueKind::IntegerOrText);
        else if (name == "umask")
            set("umask", ValueKind::Text);
        else if (name == "autostart")
            set("autostart", ValueKind::Boolean);
        else if (name == "autorestart")
            read_autorestart(watcher, option, *value);
        else if (name == "stopsignal")
            set("stop_signal", ValueKind::IntegerOrText);
        else if (name == "stopwaitsecs")
            set("graceful_timeout", ValueKind::Number);
        else if (name == "stopasgroup")
            set("stop_children", ValueKind::Boolean);
        else if (name == "startsecs")
            set("min_uptime", ValueKind::Number);
        else if (name == "startretries")
            read_retries(watcher, option, *value);
        else if (name == "priority")
            read_priority(watcher, option, *value);
        else
            remark_on(watcher, option);
    }

    void read_autorestart(Section& watcher, const IniOption& option, const std::string& value) {
        if (to_lower(value) == "unexpected")
            watcher.remark(
                option.at, "autorestart=unexpected",
                "circusd replaces a program whatever its exit code; write respawn = false for a job");
        else
            set_value(stack_, watcher, "respawn", value, ValueKind::Boolean, option.at, option.name);
    }

    void read_retries(Section& watcher, const IniOption& option, const std::string& value) {
        set_value(stack_, watcher, "max_retry", value, ValueKind::Integer, option.at, option.name);
        watcher.remark(
            option.at, cat("startretries=", value),
            "max_retry counts only programs that cannot be started at all; one that starts and ends early "
            "is tried for ever, after a growing pause (min_uptime, max_backoff)");
    }

    // supervisord starts low numbers first, 999 by default; circusd high ones, 0 by default.
    void read_priority(Section& watcher, const IniOption& option, const std::string& value) {
        const auto number = parse_int(trim(value));
        if (!number) return complain(option, cat("must be an integer, not \"", value, "\""));
        watcher.set("priority", 999 - *number, option.at);
    }

    void remark_on(Section& watcher, const IniOption& option) {
        if (option.name == "killasgroup" && to_lower(option.value) == "true") return;  // as circusd does
        if (option.name == "process_name" && names_process(option.value)) return;
        const std::string what = cat(option.name, "=", option.value);
        for (const auto& lost : kLostOfProgram)
            if (lost.name == option.name) return watcher.remark(option.at, what, lost.advice);
        watcher.remark(option.at, what, "supervisord knows no such option; left out");
    }

    void read_environment(Section& watcher) {
        const auto value = text("environment");
        if (!value) return;
        const IniOption& option = *section_.find("environment");
        const auto variables = parse_environment(*value);
        if (!variables) return complain(option, variables.error().text);
        for (const auto& [name, content] : *variables)
            set_literal_variable(watcher, cat("env.", name), content, option.at);
    }

    void read_logs(Section& watcher, long long count) {
        const bool one = to_lower(text("redirect_stderr").value_or("false")) == "true";
        read_log(watcher, "stdout", "stdout", count);
        read_log(watcher, "stderr", one ? "stdout" : "stderr", count);
    }

    // Where `stream` goes, as the options of `as` say.
    void read_log(Section& watcher, const std::string& stream, const std::string& as, long long count) {
        const std::string option = as + "_logfile";
        const auto value = text(option);
        if (!value) return;
        const Place at = place(option);
        const std::string what = cat(option, "=", *value);
        const std::string& file = *value;
        const std::string word = to_lower(file);
        if (word == "none" || file == "/dev/null") return watcher.set(cat("close_child_", stream), true, at);
        if (file == cat("/dev/", stream) || file == (stream == "stdout" ? "/dev/fd/1" : "/dev/fd/2")) return;
        if (file.starts_with("/dev/std") || file.starts_with("/dev/fd/")) {
            if (stream == as)
                watcher.remark(at, what, cat("the program's ", stream, " is circusd's own ", stream));
            return;
        }
        if (word == "auto" || word == "syslog") {
            if (stream == as)
                watcher.remark(at, what,
                               word == "auto"
                                   ? "circusd makes no files of its own naming; the output goes to circusd's"
                                   : "there is no syslog stream; the output goes to circusd's own");
            return;
        }
        set_file(watcher, stream, as, file, at, count);
    }

    void set_file(Section& watcher, const std::string& stream, const std::string& as, const std::string& file,
                  const Place& at, long long count) {
        const auto key = [&stream](const char* member) { return cat(stream, "_stream.", member); };
        watcher.set(key("class"), "FileStream", at);
        watcher.set(key("filename"), file, at);
        if (stream == as && count != 1 && file.find("$(circus.wid)") != std::string::npos)
            watcher.remark(at, cat(as, "_logfile"),
                           cat("processes are numbered from 1 on, not from ", start_));
        const std::string limit = as + "_logfile_maxbytes";
        const std::string keep = as + "_logfile_backups";
        long long bytes = kLogLimit;
        if (const IniOption* given = section_.find(limit)) {
            const auto size = parse_size(given->value);
            if (!size) return complain(*given, cat("not a size: \"", given->value, "\"; write 50MB"));
            bytes = *size;
        }
        if (bytes == 0) return;
        const long long backups = integer(keep, kLogBackups, 0, 100000);
        watcher.set(key("max_bytes"), bytes, place(limit));
        watcher.set(key("backup_count"), std::max(backups, 1LL), place(keep));
        if (backups == 0 && stream == as)
            watcher.remark(place(keep), cat(keep, "=0"), "circusd keeps at least one old file");
    }

    void make_socket() {
        Section& socket = stack_.add("socket", name_, section_.at, cat("[", section_.name, "]"));
        const IniOption* const given = section_.find("socket");
        if (!given) return stack_.problem(section_.at, cat("[", section_.name, "] has no socket"));
        number_ = std::to_string(start_);
        const auto url = text("socket");
        if (!url) return;
        if (url->starts_with("unix://"))
            make_unix_socket(socket, url->substr(7), given->at);
        else if (url->starts_with("tcp://") && url->rfind(':') > 5)
            make_tcp_socket(socket, *url, *given);
        else
            complain(*given, cat("must be tcp://HOST:PORT or unix:///PATH, not ", *url));
        if (section_.find("socket_backlog"))
            socket.set("backlog", integer("socket_backlog", 2048, 1, 1 << 30), place("socket_backlog"));
    }

    void make_tcp_socket(Section& socket, const std::string& url, const IniOption& given) {
        const size_t colon = url.rfind(':');
        const std::string host = url.substr(6, colon - 6);
        socket.set("host", host.empty() || host == "*" ? "0.0.0.0" : host, given.at);
        set_value(stack_, socket, "port", url.substr(colon + 1), ValueKind::Integer, given.at, "socket");
    }

    void make_unix_socket(Section& socket, const std::string& path, const Place& at) {
        socket.set("path", path, at);
        socket.set("replace", true, at);
        if (const auto mode = text("socket_mode")) {
            unsigned bits = 0;
            if (std::sscanf(mode->c_str(), "%o", &bits) != 1 || bits > 0777)
                return complain(*section_.find("socket_mode"), cat("not a mode: ", *mode));
            char umask[8];
            std::snprintf(umask, sizeof umask, "%03o", 0777U & ~bits);
            socket.set("umask", umask, place("socket_mode"));
        }
        if (const auto owner = text("socket_owner")) {
            const size_t colon = owner->find(':');
            socket.set("owner", owner->substr(0, colon), place("socket_owner"));
            if (colon != std::string::npos)
                socket.set("group", owner->substr(colon + 1), place("socket_owner"));
        }
    }

    Stack& stack_;
    const IniSection& section_;
    const std::string name_, group_;
    const Names& outer_;
    long long count_ = 1;
    long long start_ = 0;
    std::string number_;  // %(process_num)d of the watcher being made
};

}  // namespace

void read_program(Stack& stack, const IniSection& section, const std::string& kind, const std::string& name,
                  const std::string& group, const Names& outer) {
    Program(stack, section, name, group, outer).run(kind == "fcgi-program");
}

}  // namespace circus::convert
