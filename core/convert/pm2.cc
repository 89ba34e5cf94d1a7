// A pm2 ecosystem as JSON: {"apps": […]}, a list of apps, or one app. pm2's own defaults that a program would
// notice are written out: SIGINT, 1.6 s, its environment for all.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "base/text.hpp"
#include "convert/json_source.hpp"
#include "convert/lost.hpp"
#include "convert/pm2_words.hpp"
#include "convert/readers.hpp"
#include "convert/values.hpp"

namespace circus::convert {
namespace {

constexpr double kKillTimeout = 1.6;

constexpr std::array kLostOfPm2{
    Lost{"cron_restart", "have cron run circusctl restart NAME, or set max_age"},
    Lost{"cron", "have cron run circusctl restart NAME, or set max_age"},
    Lost{"watch", "files are not watched: run circusctl reload NAME when they change"},
    Lost{"ignore_watch", "files are not watched"},
    Lost{"watch_delay", "files are not watched"},
    Lost{"watch_options", "files are not watched"},
    Lost{"restart_delay",
         "a process that lived for min_uptime is replaced at once, a short-lived one after a growing pause"},
    Lost{"exp_backoff_restart_delay", "circusd backs off by itself: see min_uptime and max_backoff"},
    Lost{"max_restarts",
         "circusd never gives up a program that starts and ends early: it backs off (max_backoff)"},
    Lost{"listen_timeout", "a process counts as up when it is spawned"},
    Lost{"wait_ready",
         "process.send('ready') is node's own channel; a process counts as up when it is spawned"},
    Lost{"shutdown_with_message", "the message is node's own channel; handle the stop signal instead"},
    Lost{"stop_exit_codes",
         "circusd replaces a program whatever its exit code; write respawn = false for a job"},
    Lost{"namespace",
         "there are no namespaces: give the watchers names that begin alike, and circusctl a pattern"},
    Lost{"filter_env", "write copy_env = false and list in env what the program needs"},
    Lost{"instance_var",
         "$(circus.wid) is the number of a process, from 1 on: env.NODE_APP_INSTANCE = \"$(circus.wid)\""},
    Lost{"increment_var", "write the variable with $(circus.wid) in it"},
    Lost{"log_type", "output is written as it comes"},
    Lost{"source_map_support", "pass --enable-source-maps to node"},
    Lost{"appendEnvToName", "give the watcher the name you want"},
    Lost{"append_env_to_name", "give the watcher the name you want"},
};
// What only matters to pm2 itself.
constexpr std::array<std::string_view, 9> kPm2sOwn{
    "vizion",          "pmx",    "automation", "trace", "force", "post_update", "disable_source_map_support",
    "disable_metrics", "version"};
// Read by more than one option's reader.
constexpr std::array<std::string_view, 14> kElsewhere{
    "name",      "script",     "interpreter",  "exec_interpreter", "interpreter_args",
    "node_args", "args",       "instances",    "exec_mode",        "log_date_format",
    "time",      "merge_logs", "combine_logs", "disable_logs"};

class App {
  public:
    App(Stack& stack, const std::string& file, const JsonNode& app) : stack_(stack), file_(file), app_(app) {}

    void run() {
        const auto script = text("script");
        if (!script) return stack_.problem(at(app_), "an app has no script");
        const std::string name = text("name").value_or(std::filesystem::path(*script).stem().string());
        Section& watcher = stack_.add("watcher", name, at(app_), cat("app ", name));
        set_command(watcher, *script);
        set_instances(watcher);
        watcher.set("copy_env", true, at(app_));
        watcher.set("stop_signal", "INT", at(app_));
        watcher.set("stop_children", true, at(app_));
        watcher.set("graceful_timeout", kKillTimeout, at(app_));
        for (const auto& [option, value] : app_.members) read(watcher, option, value);
        set_time_format(watcher);
    }

  private:
    Place at(const JsonNode& node) const { return {file_, node.line}; }
    static bool is_null(const JsonNode& node) {
        return node.kind == JsonNode::Kind::Scalar && node.scalar.is_null();
    }

    const JsonNode* first_of(std::initializer_list<std::string_view> names) const {
        for (const auto name : names)
            if (const JsonNode* node = app_.find(name); node && !is_null(*node)) return node;
        return nullptr;
    }

    std::optional<std::string> text(std::string_view option) const {
        const JsonNode* const node = app_.find(option);
        if (!node || !node->scalar.is_string()) return std::nullopt;
        return node->scalar.get<std::string>();
    }

    bool is_true(std::string_view option) const {
        const JsonNode* const node = app_.find(option);
        return node && node->scalar == true;
    }

    // A word of a list, which may be a number.
    static std::string word_of(const JsonNode& item) {
        return item.scalar.is_string() ? item.scalar.get<std::string>() : item.to_json().dump();
    }

    // The words of an option that is a text or a list of words, as a command line.
    std::string words(const JsonNode& node) {
        if (node.kind == JsonNode::Kind::Scalar && node.scalar.is_string())
            return node.scalar.get<std::string>();
        std::vector<std::string> parts;
        for (const auto& item : node.items) parts.push_back(shell_word(word_of(item)));
        if (node.kind != JsonNode::Kind::Array) stack_.problem(at(node), "must be a text or a list of texts");
        return join(parts, " ");
    }

    std::string interpreter_of(const std::string& script) const {
        for (const char* option : {"exec_interpreter", "interpreter"})
            if (const auto given = text(option)) return *given == "none" || *given == "binary" ? "" : *given;
        static const std::map<std::string, std::string> kByExtension{
            {".js", "node"}, {".cjs", "node"}, {".mjs", "node"}, {".py", "python3"}, {".sh", "bash"},
            {".rb", "ruby"}, {".php", "php"},  {".pl", "perl"},  {".ts", "bun"},     {".tsx", "bun"}};
        const std::string extension = std::filesystem::path(script).extension().string();
        const auto known = kByExtension.find(extension);
        if (known != kByExtension.end()) return known->second;
        // pm2 runs what it finds in PATH as it is, and any other file without an extension by node.
        return extension.empty() && script.find('/') != std::string::npos ? "node" : "";
    }

    void set_command(Section& watcher, const std::string& script) {
        std::string cmd = interpreter_of(script);
        if (const JsonNode* options = first_of({"interpreter_args", "node_args"}); options && !cmd.empty())
            cmd += " " + words(*options);
        cmd += (cmd.empty() ? "" : " ") + shell_word(script);
        watcher.set("cmd", cmd, at(*app_.find("script")));
        const JsonNode* const args = first_of({"args"});
        if (!args) return;
        Json list = Json::array();
        for (const auto& item : args->items) list.push_back(word_of(item));
        if (args->kind == JsonNode::Kind::Array)
            watcher.set("args", std::move(list), at(*args));
        else
            watcher.set("args", words(*args), at(*args));
    }

    void set_instances(Section& watcher) {
        const JsonNode* const given = first_of({"instances"});
        const bool cluster = text("exec_mode").value_or(given ? "cluster" : "fork").starts_with("cluster");
        if (given) {
            const Json& value = given->scalar;
            const auto number = value.is_string()           ? parse_int(value.get_ref<const std::string&>())
                                : value.is_number_integer() ? std::optional(value.get<long long>())
                                                            : std::nullopt;
            if (number && *number > 0) {
                count_ = *number;
                watcher.set("numprocesses", count_, at(*given));
            } else if (number || value == "max") {
                count_ = 2;  // more than one, whatever the machine has
                watcher.remark(at(*given), cat("instances: ", value.dump()),
                               "circusd does not count CPUs: write numprocesses with what nproc says");
            } else {
                stack_.problem(at(*given),
                               cat("instances must be a number or \"max\", not ", given->to_json().dump()));
            }
        }
        const JsonNode* const mode = first_of({"exec_mode", "instances"});
        if (cluster && mode && count_ > 1)
            watcher.remark(
                at(*mode), "exec_mode cluster",
                "these are plain processes, which cannot all bind one port: declare a [socket.web], write "
                "use_sockets = true, and have the program listen on the descriptor it is given: "
                "server.listen({fd: 3})");
    }

    void read(Section& watcher, const std::string& option, const JsonNode& value) {
        const auto holds = [&option](const auto& names) {
            return std::find(names.begin(), names.end(), option) != names.end();
        };
        const std::string what = cat(option, ": ", value.to_json().dump());
        if (holds(kElsewhere) || is_null(value)) return;
        if (holds(kPm2sOwn)) return watcher.remark(at(value), what, "concerns pm2 itself; left out");
        for (const auto& lost : kLostOfPm2)
            if (lost.name == option) return watcher.remark(at(value), what, lost.advice);
        if (option == "env")
            read_env(watcher, value);
        else if (option.starts_with("env_"))
            watcher.remark(
                at(value), what,
                "an environment for pm2 start --env; make a second file, or put these lines over env's");
        else if (is_log(option))
            read_log(watcher, option, value);
        else if (!read_simple(watcher, option, value))
            watcher.remark(at(value), what, "pm2 knows no such option; left out");
    }

    bool read_simple(Section& watcher, const std::string& option, const JsonNode& value) {
        if (option == "cwd")
            set_text(watcher, "working_dir", option, value);
        else if (option == "uid" || option == "user")
            set_user(watcher, "uid", option, value);
        else if (option == "gid")
            set_user(watcher, "gid", option, value);
        else if (option == "autorestart")
            set_boolean(watcher, "respawn", option, value);
        else if (option == "autostart")
            set_boolean(watcher, "autostart", option, value);
        else if (option == "treekill")
            set_boolean(watcher, "stop_children", option, value);
        else if (option == "kill_timeout")
            set_seconds(watcher, "graceful_timeout", option, value);
        else if (option == "min_uptime")
            set_seconds(watcher, "min_uptime", option, value);
        else if (option == "max_memory_restart")
            set_memory(watcher, value);
        else
            return false;
        return true;
    }

    void wrong(const std::string& option, const JsonNode& value, std::string_view wanted) {
        stack_.problem(at(value), cat(option, " must be ", wanted, ", not ", value.to_json().dump()));
    }

    void set_text(Section& watcher, std::string_view key, const std::string& option, const JsonNode& value) {
        if (!value.scalar.is_string()) return wrong(option, value, "a text");
        watcher.set(key, value.scalar, at(value));
    }

    void set_user(Section& watcher, std::string_view key, const std::string& option, const JsonNode& value) {
        if (!value.scalar.is_string() && !value.scalar.is_number_integer())
            return wrong(option, value, "a name or a number");
        watcher.set(key, value.scalar, at(value));
    }

    void set_boolean(Section& watcher, std::string_view key, const std::string& option,
                     const JsonNode& value) {
        if (!value.scalar.is_boolean()) return wrong(option, value, "true or false");
        watcher.set(key, value.scalar, at(value));
    }

    void set_seconds(Section& watcher, std::string_view key, const std::string& option,
                     const JsonNode& value) {
        const auto seconds = seconds_of(value.scalar);
        if (!seconds) return wrong(option, value, "milliseconds, or a text like \"10s\"");
        watcher.set(key, *to_value(Json(*seconds).dump(), ValueKind::Number), at(value));
    }

    void set_memory(Section& watcher, const JsonNode& value) {
        watcher.set("memory_soft", value.scalar, at(value));
    }

    void read_env(Section& watcher, const JsonNode& env) {
        if (env.kind != JsonNode::Kind::Object) return wrong("env", env, "an object");
        for (const auto& [name, value] : env.members) {
            if (value.kind != JsonNode::Kind::Scalar) {
                stack_.problem(at(value), cat("env: ", name, " must be a text"));
                continue;
            }
            const std::string content =
                value.scalar.is_string() ? value.scalar.get<std::string>() : value.scalar.dump();
            set_literal_variable(watcher, cat("env.", name), content, at(value));
        }
    }

    static bool is_log(std::string_view option) {
        return !stream_of(option).empty() || option == "log_file" || option == "log";
    }

    static std::string stream_of(std::string_view option) {
        if (option == "out_file" || option == "output" || option == "out") return "stdout";
        if (option == "error_file" || option == "error" || option == "err_file" || option == "err")
            return "stderr";
        return "";
    }

    // One file for a stream; several processes get their numbers into its name unless their logs are merged.
    void read_log(Section& watcher, const std::string& option, const JsonNode& value) {
        const std::string stream = stream_of(option);
        if (!value.scalar.is_string()) return wrong(option, value, "a text");
        std::string file = value.scalar.get<std::string>();
        if (stream.empty())
            return watcher.remark(
                at(value), cat(option, ": ", file),
                "both streams in one file: give stdout_stream and stderr_stream this filename");
        if (file == "/dev/null" || file == "NULL" || is_true("disable_logs"))
            return watcher.set(cat("close_child_", stream), true, at(value));
        if (file == "/dev/stdout" || file == "/dev/stderr") return;
        if (file.starts_with("~/")) file = cat("$(circus.env.HOME)", file.substr(1));
        if (count_ > 1 && !is_true("merge_logs") && !is_true("combine_logs")) {
            const size_t dot = file.rfind('.');
            const bool extension = dot != std::string::npos && dot > file.rfind('/') + 1;
            file.insert(extension ? dot : file.size(), "-$(circus.wid)");
        }
        watcher.set(cat(stream, "_stream.class"), "FileStream", at(value));
        watcher.set(cat(stream, "_stream.filename"), file, at(value));
    }

    void set_time_format(Section& watcher) {
        const JsonNode* const given = first_of({"log_date_format"});
        std::optional<std::string> format;
        if (is_true("time")) format = "%Y-%m-%dT%H:%M:%S";
        if (given && given->scalar.is_string()) {
            format = strftime_of(given->scalar.get_ref<const std::string&>());
            if (!format)
                watcher.remark(at(*given), cat("log_date_format: ", given->scalar.dump()),
                               "strftime(3) has not all of this; write time_format by hand");
        }
        if (!format) return;
        const Place place = at(given ? *given : *app_.find("time"));
        for (const char* stream : {"stdout_stream", "stderr_stream"})
            if (watcher.has(cat(stream, ".filename")))
                watcher.set(cat(stream, ".time_format"), *format, place);
    }

    Stack& stack_;
    const std::string& file_;
    const JsonNode& app_;
    long long count_ = 1;
};

}  // namespace

void read_pm2(const std::string& file, std::string_view text, Stack& stack) {
    const auto parsed = parse_json_source(file, text);
    if (const auto* problem = std::get_if<Problem>(&parsed)) {
        stack.problems.push_back(*problem);
        return;
    }
    const JsonNode& root = std::get<JsonNode>(parsed);
    const JsonNode* apps = root.kind == JsonNode::Kind::Object ? root.find("apps") : &root;
    std::vector<const JsonNode*> found;
    if (!apps && root.find("script")) found.push_back(&root);
    if (apps && apps->kind == JsonNode::Kind::Array)
        for (const auto& app : apps->items) found.push_back(&app);
    if (apps && apps->kind == JsonNode::Kind::Object) found.push_back(apps);
    if (found.empty())
        return stack.problem({file, root.line}, "there are no apps: {\"apps\": [{\"script\": …}]}");
    if (apps != &root)
        for (const auto& [name, value] : root.members)
            if (name != "apps" && !root.find("script"))
                stack.remark({file, value.line}, name, "not about processes; left out");
    for (const JsonNode* app : found) {
        if (app->kind != JsonNode::Kind::Object)
            stack.problem({file, app->line}, "an app must be an object");
        else
            App(stack, file, *app).run();
    }
}

}  // namespace circus::convert
