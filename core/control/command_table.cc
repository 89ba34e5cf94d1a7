// One row a command, its words for the documentation included: long because there are many, all in one place.
#include "control/command_table.hpp"

#include <algorithm>
#include <cstddef>

#include "base/text.hpp"
#include "control/render.hpp"
#include "control/render_table.hpp"

namespace circus::control {

namespace {

using Type = PropertyType;
using Kind = Argument::Kind;
using model::Role;

constexpr Switch kMatch = {
    .name = "match", .doc = "how NAME is meant: glob (the default), regex or simple", .value = "METHOD"};

constexpr Property kSecrets = {"secrets", Type::Flag, false, Role::Admin};
constexpr Switch kUnmasked = {.name = "secrets", .doc = "show secrets too; it takes the role admin"};

const std::vector<Command>& table() {
    static const std::vector<Command> kTable = {
        {.name = "add",
         .role = Role::Admin,
         .summary = "add a watcher",
         .help =
             "Adds a watcher NAME that runs CMD. It lives until rm or the end of circusd: the configuration "
             "file is not changed. Options behind CMD belong to it, unless they are among those below; with "
             "-- before NAME all of them do. The message also takes args (a list or a text) and options (an "
             "object, keys as for set).",
         .answer = "with start and waiting `started` and `kept`, lists of pids",
         .properties = {{"name", Type::Text, true},
                        {"cmd", Type::Text, true},
                        {"args"},
                        {"options", Type::Object},
                        {"start", Type::Flag}},
         .arguments = {{"name", Kind::Text, true, "name of the new watcher"},
                       {"cmd", Kind::RestAsText, true, "the command to run"}},
         .switches = {{.name = "start", .doc = "start it at once"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .render = render_ok},
        {.name = "commands",
         .role = Role::Read,
         .summary = "list the commands that circusd takes",
         .help = "Lists every command with its arguments: circusd's own, and those that plugins have added.",
         .answer =
             "`commands`, {name: {`summary`, `help`, `usage`, `changes`, `role`, `properties`}}: whether it "
             "changes something, the role that it takes, and what its message takes, {name: {`type`, "
             "`required`}}, with `role` where that takes a higher one; those of plugins have `plugin` in the "
             "place of the last three",
         .properties = {},
         .render = render_commands},
        {.name = "deaths",
         .role = Role::Read,
         .summary = "show the processes that have ended, and why",
         .help =
             "Shows the last processes that have ended, or could not be started, 100 of each watcher at the "
             "most, oldest first: "
             "exit code or signal, the reason as far as circusd knows it, and what they used. The reason "
             "is asked, max_age, memory or not_ready where circusd ended it; signal where it was asked "
             "to send what the process died of; exit where it ended by itself; crash (SIGSEGV, SIGABRT "
             "and the like); killed by a signal from elsewhere; oom where the kernel killed it for want "
             "of memory; not_started where it never ran: what was being set up then, and what the kernel "
             "said. Standard error is known where the watcher has a stderr_stream. The processes of isolated "
             "plugins are those of plugin:NAME.",
         .answer =
             "with name `name`, `deaths` and `counts`; without `watchers`, {name: {`deaths`, `counts`}}. A "
             "death: `wid`, `pid`, `time`, `age` in seconds, `exit_code` or `signal` (the other is null), "
             "`by_circusd` (it sent that signal; null: no signal, or not known), `core` (dumped), `oom` "
             "(null: "
             "perhaps), `reason`, `why` (text or null), `max_rss` in bytes, `cpu_user` and `cpu_system` in "
             "seconds, `stderr` (the last lines; null: not known) and `complete` (it is read to its end). "
             "One that "
             "was not started has no `pid`, and besides `stage` (null: it did not come so far as to be "
             "spawned), "
             "`errno` (or null) and `times` (how often in a row, the last time at `time`). "
             "Counts, since circusd was started: `total` of those that ended, by `reasons`, `exit_codes` and "
             "`signals`, and `not_started`",
         .properties = {{"name", Type::Text}, {"last", Type::Integer}},
         .arguments = {{"name", Kind::Text, false}},
         .switches = {{.name = "last",
                       .doc = "how many of each watcher at the most; without it: 100",
                       .value = "COUNT",
                       .letter = 'n'},
                      {.name = "stderr", .doc = "with the last lines that each wrote to standard error"}},
         .prints_lines = true,
         .render = render_deaths,
         .table = table_deaths},
        {.name = "decr",
         .role = Role::Operate,
         .summary = "run fewer processes of a watcher",
         .help =
             "Lowers the number of processes by NB (default 1), not below 0. The highest wids are "
             "stopped; with --drain each of them only when it has no connection in hand that it accepted "
             "from a socket of circusd's, and at the latest after that time. With --waiting it prints the "
             "new number once they are gone.",
         .answer = "with waiting `numprocesses`, the new wanted number; at once, and with `singleton` true, "
                   "for a singleton",
         .properties = {{"name", Type::Text, true}, {"nb", Type::Integer}, {"drain", Type::Seconds}},
         .arguments = {{"name"}, {"nb", Kind::Integer, false, "how many"}},
         .switches = {{.name = "drain",
                       .doc = "let them finish what they have in hand, so many seconds at the most",
                       .value = "SECONDS"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .render = render_count},
        {.name = "dstats",
         .role = Role::Read,
         .summary = "show what circusd itself uses",
         .help = "Shows CPU and memory of circusd's own process.",
         .answer = "`info`, the figures of circusd's own process",
         .properties = {},
         .render = render_dstats,
         .table = table_stats},
        {.name = "figures",
         .role = Role::Read,
         .summary = "show what circusd has counted",
         .help = "Shows for each watcher how many processes run, are ready and are wanted, how many were "
                 "spawned, died unasked and were replaced since circusd was started, and how many bytes they "
                 "wrote "
                 "and of these were dropped since this arbiter runs. With --json there is more of it.",
         .answer =
             "`watchers`, {name: {`status`, `wanted`, `numprocesses`, `gave_up` (why it is stopped although "
             "nobody has stopped it; else null), `ready`, `pids`, `spawned`, `spawns_failed`, `ended` (a "
             "list of {`cause`, `asked`, `unasked`}), `replaced` ({reason: "
             "count}), `cpu_of_ended` in seconds, `stdout` and `stderr` ({`bytes`, `dropped`})}}; `keeper` "
             "and `arbiter`, their pids; `version`; `loop` ({`turns` by duration, the classes' upper "
             "`bounds` and the `busy` time in seconds}); `events_dropped`",
         .properties = {},
         .registered = true,
         .render = render_figures},
        {.name = "gauge",
         .role = Role::Read,
         .summary = "show a gauge, or set it",
         .help = "Shows all gauges, those of a WATCHER, or the one called NAME, with their age; with VALUE "
                 "it sets "
                 "one. Plugins set and read gauges as well: the autoscaler scales by them.",
         .answer = "`gauges`, {name: {`value`, `age` in seconds, `by`}}; without watcher the same by "
                   "watcher, whose "
                   "name is in lower case",
         .properties = {{"watcher", Type::Text},
                        {"name", Type::Text},
                        {"value", Type::Any, false, Role::Operate}},
         .arguments = {{"watcher", Kind::Text, false, "whose; any word, as a rule a watcher's name"},
                       {"name", Kind::Text, false, "which one"},
                       {"value", Kind::Text, false, "a number: what it is from now on"}},
         .changes = true,
         .registered = true,
         .render = render_gauges},
        {.name = "get",
         .role = Role::Read,
         .summary = "show some options of a watcher",
         .help =
             "Shows the named options. An unknown one fails the whole call. Secrets in env are masked, as "
             "for options.",
         .answer = "`options`, an object with each of the keys",
         .properties = {{"name", Type::Text, true}, {"keys", Type::List, true}, kSecrets},
         .arguments = {{"name"}, {"keys", Kind::RestAsList, true, "names of options"}},
         .switches = {kUnmasked},
         .render = render_get,
         .table = table_get},
        {.name = "globaloptions",
         .role = Role::Read,
         .summary = "show the options of circusd",
         .help = "Shows the options of circusd itself: its endpoints and its check_delay.",
         .answer = "`options`, an object",
         .properties = {{"option"}},
         .arguments = {{"option", Kind::Text, false, "only this one"}},
         .render = render_options,
         .table = table_options},
        {.name = "incr",
         .role = Role::Operate,
         .summary = "run more processes of a watcher",
         .help =
             "Raises the number of processes by NB (default 1). With --waiting it prints the new number once "
             "they run.",
         .answer = "with waiting `numprocesses`, the new wanted number; at once, and with `singleton` true, "
                   "for a singleton",
         .properties = {{"name", Type::Text, true}, {"nb", Type::Integer}},
         .arguments = {{"name"}, {"nb", Kind::Integer, false, "how many"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .render = render_count},
        {.name = "kill",
         .role = Role::Operate,
         .summary = "stop processes; the watcher replaces them",
         .help = "Sends the stop signal to every process of the watcher, or to the one with PID, and SIGKILL "
                 "when the grace is over. The watcher starts others in their place.",
         .properties = {{"name", Type::Text, true},
                        {"pid", Type::Integer},
                        {"signum", Type::Signal},
                        {"graceful_timeout", Type::Seconds}},
         .arguments = {{"name"}, {"pid", Kind::Text, false, "only this process"}},
         .switches = {{.name = "signum",
                       .doc = "instead of the watcher's stop_signal; a number or a name",
                       .value = "SIGNAL"},
                      {.name = "graceful_timeout",
                       .doc = "instead of the watcher's, in seconds",
                       .value = "SECONDS"}},
         .waitable = true,
         .changes = true,
         .render = render_ok},
        {.name = "list",
         .role = Role::Read,
         .summary = "list the watchers, or the pids of one",
         .help = "Lists the names of all watchers in lower case, or the process ids of one.",
         .answer = "`watchers`, names in lower case and sorted; with name `pids`",
         .properties = {{"name", Type::Text}},
         .arguments = {{"name", Kind::Text, false}},
         .render = render_list,
         .table = table_list},
        {.name = "listen",
         .role = Role::Read,
         .summary = "print events as they come",
         .help =
             "Subscribes to circusd's events and prints each as a line, TOPIC: JSON, until it is "
             "interrupted. Without TOPIC all of them; \"watcher.web.\" is everything about the watcher web. "
             "--endpoint may be that of the events, too, as Circus's circusctl wants it here.",
         .properties = {},
         .arguments = {{"topics", Kind::RestAsList, false, "beginnings of topics"}},
         .render = render_ok},
        {.name = "listsockets",
         .role = Role::Read,
         .summary = "list the managed sockets",
         .help = "Lists the sockets that circusd holds, each with its descriptor number in the workers. With "
                 "--figures also what each is doing; a figure that the kernel does not tell is left out.",
         .answer =
             "`sockets`, by descriptor: `fd`, `name`, `backlog`, and `host` and `port` or `path`; with "
             "figures `watchers`, the names of those whose processes have it, and `figures`, an object: "
             "`queue` and its `limit`, `in_flight`, `accepted` since the socket was bound, `drops`, each a "
             "number or null, and `absent`, why a figure is null. With so_reuseport also `steering`, who "
             "says "
             "which slot gets a connection: `kernel`, `round_robin` or `least_loaded`, with the reason in "
             "`absent` where that is not what was asked for; and `slots`, each with `watcher`, `wid`, its "
             "`queue`, whether it is `leaving`, and where it is steered whether a worker is `accepting`, its "
             "`picks`, the connections that it was given since this arbiter took over, and its `load`",
         .properties = {{"figures", Type::Flag}},
         .switches = {{.name = "figures",
                       .doc = "queue, connections in flight and accepted, drops, steering"}},
         .render = render_sockets,
         .table = table_sockets},
        {.name = "logs",
         .role = Role::Read,
         .summary = "show the last lines that a watcher wrote",
         .help = "Prints the last lines of the watcher's standard output, or of one process's, oldest first. "
                 "They are kept in memory wherever that output has a stream, of any class: 32 KiB of each "
                 "process, and as much of all that are gone; a QueueStream keeps as many lines as it is told "
                 "to. When another arbiter has taken over they begin anew. With -f it goes on with what "
                 "comes, until it is interrupted.",
         .answer = "`lines`, each with `pid`, `time` and `text`; `cursor`, for the next question; `skipped`, "
                   "how many "
                   "lines since the cursor of this one are not kept any more. With a cursor the lines are "
                   "those after "
                   "it, and without one the last",
         .properties = {{"name", Type::Text, true},
                        {"pid", Type::Integer},
                        {"lines", Type::Integer},
                        {"stderr", Type::Flag},
                        {"cursor", Type::Text}},
         .arguments = {{"name"}, {"pid", Kind::Integer, false, "only this process"}},
         .switches = {{.name = "lines", .doc = "how many; without it: 100", .value = "COUNT", .letter = 'n'},
                      {.name = "stderr", .doc = "of standard error"},
                      {.name = "prefix", .doc = "the time and the pid before each line"},
                      {.name = "follow", .doc = "go on with what comes", .letter = 'f'}},
         .prints_lines = true,
         .render = render_logs},
        {.name = "numprocesses",
         .role = Role::Read,
         .summary = "count the processes",
         .help = "Prints how many processes run, in all or of one watcher.",
         .answer = "`numprocesses`; with name also `watcher_name`",
         .properties = {{"name", Type::Text}},
         .arguments = {{"name", Kind::Text, false}},
         .render = render_numprocesses},
        {.name = "numwatchers",
         .role = Role::Read,
         .summary = "count the watchers",
         .help = "Prints how many watchers there are.",
         .answer = "`numwatchers`",
         .properties = {},
         .render = render_numwatchers},
        {.name = "options",
         .role = Role::Read,
         .summary = "show all options of a watcher",
         .help =
             "Shows every option of the watcher, sorted by name. Values of env that look like secrets are "
             "********: of names with PASSWORD, PASSWD, PASSPHRASE, SECRET, TOKEN, CREDENTIAL or "
             "PRIVATEKEY in them, or the words PASS, SSHPASS, PWD, AUTH, KEY or APIKEY, and URLs with a "
             "password or token.",
         .answer =
             "`options`, an object; with settable also `settable`, what `set` can change: by option its "
             "`type` (boolean, integer, number, string, size or any), `effect`, what a change does "
             "(live, count, respawn or restart), and `value`",
         .properties = {{"name", Type::Text, true}, kSecrets, {"settable", Type::Flag}},
         .arguments = {{"name"}},
         .switches = {kUnmasked},
         .render = render_options,
         .table = table_options},
        {.name = "plugin",
         .role = Role::Operate,
         .summary = "enable, disable or restart a plugin",
         .help = "Starts the plugin NAME (enable; also one that failed), stops it (disable) or does both "
                 "(restart), until the next change of its section or the end of circusd. With --waiting it "
                 "answers when that is done, with the error if it could not be.",
         .answer = "with waiting `state`, what the plugin is in then",
         .properties = {{"name", Type::Text, true}, {"action", Type::Text, true}},
         .arguments = {{"name", Kind::Text, true, "the NAME of its section [plugin.NAME]"},
                       {"action", Kind::Text, true, "enable, disable or restart"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .registered = true,
         .render = render_ok},
        {.name = "plugins",
         .role = Role::Read,
         .summary = "show the plugins, and what they cost",
         .help =
             "Shows each plugin with its state, version, file and mode, how often it was called, how many "
             "of these calls took longer than 5 ms or failed, and the time it has spent in all. A library of "
             "hooks is among them while it is in quarantine.",
         .answer =
             "`plugins`, {name: {`state`, `use`, `file`, `version`, `summary`, `mode`, `priority`, `calls`, "
             "`slow`, `errors`, `time` in seconds, and `error` where it failed or is quarantined}}",
         .properties = {},
         .registered = true,
         .render = render_plugins},
        {.name = "quit",
         .role = Role::Admin,
         .summary = "stop everything and end circusd",
         .help = "Stops all watchers, the lowest priority first, and ends circusd. With --waiting it answers "
                 "once everything is stopped.",
         .properties = {},
         .waitable = true,
         .changes = true,
         .render = render_ok},
        {.name = "reload",
         .role = Role::Operate,
         .summary = "replace the processes of one watcher or of all",
         .help =
             "Starts new processes, waits until each is ready (option `ready`), then stops the old ones, so "
             "that "
             "there is always somebody to serve; a watcher's reload_mode, max_surge and max_unavailable say "
             "how. Where a new one is not ready in time or ends before, the old ones stay, and the answer is "
             "an "
             "error. A watcher with send_hup gets a SIGHUP instead.",
         .answer = "with name and waiting `info`: `stopped`, `started` and `kept`, lists of pids",
         .properties = {{"name", Type::Text},
                        {"graceful", Type::Flag},
                        {"sequential", Type::Flag},
                        {"max_surge", Type::Integer},
                        {"max_unavailable", Type::Integer},
                        {"canary", Type::Integer},
                        {"canary_seconds", Type::Seconds}},
         .arguments = {{"name", Kind::Text, false}},
         .switches = {{.name = "terminate",
                       .doc = "stop the old processes first, then start new ones",
                       .property = "graceful",
                       .sets = false},
                      {.name = "sequential", .doc = "stop and start one process after the other"},
                      {.name = "max_surge",
                       .doc = "how many processes more than numprocesses there may be at a time",
                       .value = "N"},
                      {.name = "max_unavailable",
                       .doc = "how many may be stopped before their replacement is ready",
                       .value = "N"},
                      {.name = "canary",
                       .doc =
                           "start N new ones first and watch them for SECONDS: if one ends or is not ready, "
                           "they go and the old ones stay",
                       .value = "N SECONDS",
                       .second = "canary_seconds"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .render = render_ok},
        {.name = "reloadconfig",
         .role = Role::Operate,
         .summary = "read the configuration again and carry out what changed",
         .help =
             "Reads the configuration file and what it includes again. What did not change is not touched; "
             "a changed number of processes changes only that; of any other change only its watcher is "
             "reloaded, and so is who uses a socket that changed. If anything is wrong with the file "
             "nothing is changed at all. With --waiting it prints what was done once that is through.",
         .answer =
             "with `explain`, `plan`: the watchers `kept`, `updated`, `restarted`, `started` and `stopped`, "
             "and "
             "what changed of `sockets` and `circus`, each an object of names and reasons, and `warnings`",
         .properties = {{"dry_run", Type::Flag}, {"explain", Type::Flag}},
         .switches = {{.name = "dry-run", .doc = "only print what would be done", .property = "dry_run"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .explains = true,
         .render = render_plan},
        {.name = "restart",
         .role = Role::Operate,
         .summary = "stop and start one watcher, or circusd in itself",
         .help = "Stops every process of the watchers, then starts them again. Of several, those with "
                 "autostart = false are left alone. Without NAME circusd itself starts over: everything is "
                 "stopped in order, the configuration is read again, and everything is started as it says; "
                 "the sockets stay bound meanwhile.",
         .answer =
             "for one watcher, with waiting, `info`: `stopped`, `started` and `kept`, lists of pids; without "
             "`name` and with `explain`, `plan` as for reloadconfig",
         .properties = {{"name", Type::Text}, {"match"}, {"explain", Type::Flag}},
         .arguments = {{"name", Kind::Text, false, "a name or a pattern"}},
         .switches = {kMatch},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .explains = true,
         .render = render_plan},
        {.name = "rm",
         .role = Role::Admin,
         .summary = "remove a watcher",
         .help = "Takes the watcher out of circusd; its name is free at once. Its processes are stopped.",
         .properties = {{"name", Type::Text, true}, {"nostop", Type::Flag}},
         .arguments = {{"name"}},
         .switches = {{.name = "nostop", .doc = "let its processes run on, unwatched"}},
         .waitable = true,
         .changes = true,
         .render = render_ok},
        {.name = "set",
         .role = Role::Admin,
         .summary = "change options of a watcher",
         .help = "Changes options of a running watcher: all of them, or on an error none. A change that the "
                 "processes have to be told of replaces them gracefully.",
         .properties = {{"name", Type::Text, true}, {"options", Type::Object, true}},
         .arguments = {{"name"}, {"options", Kind::RestAsOptions, true, "options and their values"}},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .render = render_ok},
        {.name = "signal",
         .role = Role::Operate,
         .summary = "send a signal to processes",
         .help = "Sends SIGNUM (9, kill, SIGKILL, SIGRTMIN+1) to every process of the watcher, or to the one "
                 "with PID. Nothing is stopped or replaced by circusd on that account.",
         .properties = {{"name", Type::Text, true},
                        {"signum", Type::Signal, true},
                        {"pid", Type::Integer},
                        {"childpid", Type::Integer},
                        {"child_pid", Type::Integer},
                        {"children", Type::Flag},
                        {"recursive", Type::Flag}},
         .arguments = {{"name"}, {"pid", Kind::Text, false, "only this process"}, {"signum"}},
         .switches = {{.name = "childpid", .doc = "only this child of PID", .value = "PID"},
                      {.name = "children", .doc = "the children of the process, not itself"},
                      {.name = "recursive", .doc = "the process and all its descendants"}},
         .changes = true,
         .render = render_ok},
        {.name = "start",
         .role = Role::Operate,
         .summary = "start one watcher or all",
         .help = "Starts the watchers. Of several, those with autostart = false are left alone.",
         .answer = "for one watcher, with waiting, `info`: `started` and `kept`, lists of pids",
         .properties = {{"name", Type::Text}, {"match"}},
         .arguments = {{"name", Kind::Text, false, "a name or a pattern"}},
         .switches = {kMatch},
         .waitable = true,
         .changes = true,
         .while_stopping = false,
         .render = render_ok},
        {.name = "stats",
         .role = Role::Read,
         .summary = "show what processes use",
         .help = "Shows CPU and memory of all processes, of those of one watcher, or of one process.",
         .answer = "`infos`, by watcher and by pid; with name `name` and `info` by pid; with process "
                   "`process` and its `info`. Each has its `children`, unless `children` is false. With "
                   "details also `threads`, `fds` (open descriptors) and `pss` (bytes of memory, what is "
                   "shared counted in part); of those that circusd may not know `absent` says why",
         .properties = {{"name", Type::Text},
                        {"process"},
                        {"extended", Type::Flag},
                        {"details", Type::Flag},
                        {"children", Type::Flag}},
         .arguments = {{"name", Kind::Text, false}, {"process", Kind::Integer, false, "a process id"}},
         .switches = {{.name = "details", .doc = "threads, open descriptors and PSS too"},
                      {.name = "extended",
                       .doc = "what extended_stats hooks add is in the answer too (--json)"}},
         .render = render_stats,
         .table = table_stats},
        {.name = "status",
         .role = Role::Read,
         .summary = "show the status of one watcher or of all",
         .help = "Prints active, starting, stopping or stopped.",
         .answer = "`statuses`, by watcher; with name the state stands in `status`",
         .properties = {{"name", Type::Text}},
         .arguments = {{"name", Kind::Text, false}},
         .render = render_status,
         .table = table_status},
        {.name = "stop",
         .role = Role::Operate,
         .summary = "stop one watcher or all",
         .help = "Stops every process of the watchers: the stop signal, and SIGKILL when graceful_timeout is "
                 "over.",
         .answer = "for one watcher, with waiting, `info`, null",
         .properties = {{"name", Type::Text}, {"match"}},
         .arguments = {{"name", Kind::Text, false, "a name or a pattern"}},
         .switches = {kMatch},
         .waitable = true,
         .changes = true,
         .render = render_ok},
        {.name = "upgrade",
         .role = Role::Admin,
         .summary = "go on with another circusd binary",
         .help =
             "Looks whether BINARY can take over and reads the configuration; then circusd becomes it, with "
             "the same pid, processes and sockets. One that cannot leaves everything as it is, and the "
             "answer says why. One that turns out not to start after that gives way to the binary before, "
             "and the log says why. Signal USR2 does the same with the binary that circusd was started from.",
         .properties = {{"binary", Type::Text}},
         .arguments = {{"binary", Kind::Text, false,
                        "the whole path of a circusd; without it the file that this one was started from"}},
         .changes = true,
         .while_stopping = false,
         .registered = true,
         .render = render_ok},
    };
    return kTable;
}

const std::vector<Command>& own_table() {
    static const std::vector<Command> kTable = {
        {.name = "complete",
         .summary = "print what may stand at the end of a command line",
         .help =
             "Prints `words`, or `files` where a file belongs, and below it a line for each word that may "
             "stand at the end of LINE, with what it means behind a tab. The completion files of the "
             "shells call it; names come from circusd, if it answers within half a second.",
         .properties = {},
         .arguments = {{"line", Kind::Text, true, "a command line up to the cursor"}},
         .render = render_ok},
        {.name = "completion",
         .summary = "print the completion file of a shell",
         .help =
             "Prints what makes the shell complete circusctl's commands, switches, watchers, options, pids "
             "and signals. In ~/.bashrc: `source <(circusctl completion bash)`. For zsh it is a file "
             "_circusctl in a directory of fpath, for fish ~/.config/fish/completions/circusctl.fish.",
         .properties = {},
         .arguments = {{"shell", Kind::Text, true, "bash, zsh or fish"}},
         .render = render_ok},
        {.name = "convert",
         .summary = "make a stack.toml of another program's configuration",
         .help = "Reads a circus.ini, a supervisord.conf, a Procfile (with its .env) or a pm2 ecosystem in "
                 "JSON, and "
                 "prints the same as a TOML file for circusd, with a comment for everything that has no "
                 "counterpart. "
                 "No daemon is needed.",
         .properties = {},
         .arguments = {{"file", Kind::Text, true, "the configuration to convert"}},
         .switches = {{.name = "from",
                       .doc = "circus, supervisor, procfile or pm2; else it is seen from the file",
                       .value = "FORMAT"},
                      {.name = "output",
                       .doc = "write to this file, which must not exist, not to standard output",
                       .value = "OUT",
                       .letter = 'o'}},
         .render = render_ok},
        {.name = "help",
         .summary = "say what a command does and takes",
         .help = "Says what a command does and takes; without one, which commands there are.",
         .properties = {},
         .arguments = {{"command", Kind::Text, false}},
         .render = render_ok},
        {.name = "keygen",
         .summary = "make a key for CURVE",
         .help = "Writes a fresh pair of CURVE keys to FILE, which must not exist, with mode 0600, and "
                 "prints what "
                 "belongs into the configuration. Without --server it is for the daemon (curve_secret), with "
                 "it for "
                 "a client (circusctl --curve FILE).",
         .properties = {},
         .arguments = {{"file", Kind::Text, true, "the file to make"}},
         .switches = {{.name = "server", .doc = "the daemon's public key", .value = "KEY"}},
         .render = render_ok},
        {.name = "plugin new",
         .summary = "begin a plugin of one's own",
         .help =
             "Makes a folder NAME with a small plugin, its unit test and a README: it builds, is tested and "
             "loads as it stands. What exists already is not touched. docs/plugin-guide.md goes on from "
             "there.",
         .properties = {},
         .arguments = {{"name", Kind::Text, true, "small letters, digits and _; the folder's name too"}},
         .switches = {{.name = "lang", .doc = "c, cpp or rust; without it: cpp", .value = "LANGUAGE"}},
         .render = render_ok},
    };
    return kTable;
}

const Command* find_in(std::span<const Command> commands, std::string_view name) {
    const std::string wanted = to_lower(name);
    const auto at = std::find_if(commands.begin(), commands.end(),
                                 [&wanted](const Command& command) { return command.name == wanted; });
    return at == commands.end() ? nullptr : &*at;
}

}  // namespace

std::span<const Command> commands() {
    return table();
}

const Command* find_command(std::string_view name) {
    return find_in(commands(), name);
}

std::span<const Command> own_commands() {
    return own_table();
}

const Command* find_own_command(std::string_view name) {
    return find_in(own_commands(), name);
}

std::vector<std::string> command_names() {
    std::vector<std::string> names;
    for (const Command& command : commands()) names.emplace_back(command.name);
    return names;
}

}  // namespace circus::control
