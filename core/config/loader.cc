#include "config/loader.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include "base/text.hpp"
#include "config/curve_files.hpp"
#include "config/endpoints.hpp"
#include "config/offered_classes.hpp"

namespace circus::config {
namespace {

template <class Section>
std::vector<std::string> names_of(const std::vector<Row<Section>>& rows) {
    std::vector<std::string> names;
    names.reserve(rows.size());
    for (const auto& row : rows) names.emplace_back(row.info.name);
    return names;
}

template <class Section>
const Row<Section>* find_row(const std::vector<Row<Section>>& rows, std::string_view name) {
    const auto found =
        std::find_if(rows.begin(), rows.end(), [name](const auto& row) { return row.info.name == name; });
    return found == rows.end() ? nullptr : &*found;
}

}  // namespace

Loader::Loader(Sources sources, const std::vector<std::string>& environment, bool as_pid1,
               const PluginCatalog* catalog)
    : sources_(std::move(sources)),
      as_pid1_(as_pid1),
      catalog_(catalog),
      environment_(environment),
      environment_lookup_(environment_lookup(environment)) {}

Loaded Loader::run() {
    out_.errors = std::move(sources_.errors);
    out_.warnings = std::move(sources_.warnings);
    if (sources_.readable) {
        check_sections();
        read_circus();
        each_named("socket", [this](const Entry& s, const std::string& name) { read_socket(s, name); });
        read_env();
        read_plugin_path();
        each_named("plugin", [this](const Entry& s, const std::string& name) { read_plugin(s, name); });
        add_implied_plugins();
        const ExpectStreamClasses expected(expects_stream_classes_);
        each_named("watcher", [this](const Entry& s, const std::string& name) { read_watcher(s, name); });
        check_depends();
        warn_of_idle_groups();
        if (out_.config.watchers.empty() && out_.errors.empty()) warning({}, "there is no [watcher.NAME]");
    }
    const auto by_position = [this](const Diagnostic& a, const Diagnostic& b) {
        const auto rank = [this](const Diagnostic& d) {
            const auto at = std::find(sources_.files.begin(), sources_.files.end(), d.file);
            return std::tuple(at - sources_.files.begin(), d.line, d.column);
        };
        return rank(a) < rank(b);
    };
    std::stable_sort(out_.errors.begin(), out_.errors.end(), by_position);
    std::stable_sort(out_.warnings.begin(), out_.warnings.end(), by_position);
    std::stable_sort(out_.broken_plugins.begin(), out_.broken_plugins.end(), by_position);
    return std::move(out_);
}

void Loader::error(Position at, std::string text) {
    out_.errors.push_back(
        {sources_.files[static_cast<size_t>(at.file)], at.line, at.column, std::move(text)});
}

void Loader::warning(Position at, std::string text) {
    out_.warnings.push_back(
        {sources_.files[static_cast<size_t>(at.file)], at.line, at.column, std::move(text)});
}

void Loader::report(const Fault& fault, const Entry& option, std::string_view section) {
    const Entry* const member =
        option.is_table && !fault.sub_key.empty() ? option.find(fault.sub_key) : nullptr;
    const Entry* const inner =
        member && member->is_table && !fault.inner.empty() ? member->find(fault.inner) : nullptr;
    const Entry& culprit = inner ? *inner : member ? *member : option;
    error(culprit.at, file_text(fault, section, culprit.to_json()));
}

void Loader::report_in(const Fault& fault, const Entry& section, std::string_view name,
                       const Failed& failed) {
    if (failed.contains(fault.key)) return;
    const Entry* const option = section.find(fault.key);
    if (option)
        report(fault, *option, name);
    else
        error(section.at, file_text(fault, name, {}));
}

void Loader::check_sections() {
    const std::vector<std::string> known{"circus", "watcher", "socket", "plugin", "env"};
    for (const auto& entry : sources_.document.entries) {
        if (std::find(known.begin(), known.end(), entry.key) != known.end()) {
            const bool named = entry.key != "circus" && entry.key != "env";
            if (!entry.is_table)
                error(entry.at, cat("\"", entry.key, "\" must be a section, [", entry.key,
                                    named ? ".NAME" : "", "], not ", describe(entry.value)));
        } else if (entry.is_table) {
            const auto near = did_you_mean(entry.key, known);
            error(entry.at, cat("unknown section [", toml_name(entry.key), "]",
                                near ? cat("; did you mean [", *near, "]?") : ""));
        } else {
            error(entry.at, cat("option \"", entry.key, "\" stands in no section"));
        }
    }
}

// Calls read(section, "watcher.web") for every section of the kind whose name can be one.
template <class Read>
void Loader::each_named(std::string_view kind, Read read) {
    const Entry* const table = sources_.document.find(kind);
    if (!table || !table->is_table) return;
    std::vector<const Entry*> seen;
    for (const auto& section : table->entries) {
        const std::string name = cat(kind, ".", toml_name(section.key));
        if (!section.is_table) {
            error(section.at, cat("\"", section.key, "\" in [", kind, "] must be a section, [", name,
                                  "], not ", describe(section.value)));
            continue;
        }
        const bool printable = std::none_of(section.key.begin(), section.key.end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        });
        if (section.key.empty() || !printable) {
            error(section.at, cat("the name of [", name, "] must be text without control characters"));
            continue;
        }
        const auto same = std::find_if(seen.begin(), seen.end(), [&](const Entry* other) {
            return equals_ignoring_case(other->key, section.key);
        });
        if (same != seen.end()) {
            error(section.at, cat("[", name, "] is [", kind, ".", toml_name((*same)->key), "] of line ",
                                  (*same)->at.line, " again: names are matched without case"));
            continue;
        }
        seen.push_back(&section);
        read(section, name);
    }
}

template <class Section>
Loader::Failed Loader::read_options(Section& target, const Entry& section, const std::string& name,
                                    const Vocabulary<Section>& vocabulary) {
    Failed failed;
    for (const auto& option : section.entries) {
        const auto* row = vocabulary.find(option.key);
        Faults found;
        Entry given = option;
        if (row) {
            given = substituted(option, row->info.type, name);
            found = row->parse(target, given.to_json(), option.key);
        } else {
            const auto& absent = vocabulary.unavailable;
            const bool known = std::find(absent.begin(), absent.end(), option.key) != absent.end();
            Fault fault{Fault::Kind::NotAvailable, option.key, {}, ValueType::Text, {}, {}, 3};
            if (!known) {
                fault.kind = Fault::Kind::Unknown;
                fault.text = did_you_mean(option.key, vocabulary.names).value_or("");
            }
            found.push_back(std::move(fault));
        }
        for (const auto& fault : found) report(fault, given, name);
        if (!found.empty()) failed.insert(option.key);
    }
    return failed;
}

// loader_watchers.cc uses it for watchers.
template Loader::Failed Loader::read_options(WatcherConfig&, const Entry&, const std::string&,
                                             const Vocabulary<WatcherConfig>&);

void Loader::read_circus() {
    // As PID 1 a container's runtime kills after 30 s or less; be done before.
    if (as_pid1_) out_.config.circus.stop_timeout = 25;
    const Entry nothing{"circus", {}, true, {}, {}};
    const Entry* section = sources_.document.find("circus");
    if (!section || !section->is_table) section = &nothing;
    static const Vocabulary<CircusConfig> kVocabulary{
        [](std::string_view name) { return find_row(circus_rows(), name); }, names_of(circus_rows()), {}};
    const Failed failed = read_options(out_.config.circus, *section, "circus", kVocabulary);
    check_endpoints(*section, failed);
    check_reach(*section, failed);
    read_curve(*section, failed);
    for (const std::string_view option : {"httpd_host", "httpd_port"})
        if (const Entry* const given = section->find(option);
            given && !out_.config.circus.httpd && !failed.contains("httpd") && !failed.contains(option))
            warning(given->at, cat("\"", option, "\" in [circus] has no effect without httpd = true"));
}

// Who comes from another machine is known by his key or not at all.
void Loader::check_reach(const Entry& section, const Failed& failed) {
    const auto& circus = out_.config.circus;
    const auto is_open = [](const std::string& endpoint) {
        return !endpoint_problem(endpoint) && !is_local(endpoint);
    };
    if (is_open(circus.stats_endpoint))
        report_in(bad_value("stats_endpoint",
                            "can be reached from other machines, and whoever does is not known; write an "
                            "ipc:// endpoint, or one of loopback such as tcp://127.0.0.1:5557"),
                  section, "circus", failed);
    if (!circus.curve_secret.empty()) return;
    for (const auto& [name, endpoint] :
         {std::pair("endpoint", circus.endpoint), std::pair("pubsub_endpoint", circus.pubsub_endpoint)})
        if (section.find(name) && is_open(endpoint))
            report_in(bad_value(name,
                                "can be reached from other machines, which takes CURVE: give curve_secret "
                                "and curve_keys, or an ipc:// endpoint, or one of loopback such as "
                                "tcp://127.0.0.1:5555 (docs/security.md)"),
                      section, "circus", failed);
}

void Loader::read_curve(const Entry& section, const Failed& failed) {
    auto& circus = out_.config.circus;
    if (circus.curve_secret.empty() != circus.curve_keys.empty()) {
        const auto* given = circus.curve_secret.empty() ? "curve_keys" : "curve_secret";
        const auto* missing = circus.curve_secret.empty() ? "curve_secret" : "curve_keys";
        report_in(bad_value(given, cat("needs ", missing, " beside it")), section, "circus", failed);
    }
    if (circus.curve_secret.empty() || circus.curve_keys.empty()) return;
    circus.curve_secret = beside_main_file(circus.curve_secret);
    circus.curve_keys = beside_main_file(circus.curve_keys);
    auto keys = read_keys(circus.curve_secret);
    if (keys)
        circus.curve_secret_key = std::move(keys->secret_key);
    else
        report_in(bad_value("curve_secret", keys.error().text), section, "circus", failed);
    auto clients = read_clients(circus.curve_keys);
    if (clients)
        circus.curve_clients = std::move(*clients);
    else
        report_in(bad_value("curve_keys", clients.error().text), section, "circus", failed);
}

void Loader::check_endpoints(const Entry& section, const Failed& failed) {
    auto& circus = out_.config.circus;
    using Field = std::string CircusConfig::*;
    const std::pair<std::string_view, Field> fields[] = {{"endpoint", &CircusConfig::endpoint},
                                                         {"pubsub_endpoint", &CircusConfig::pubsub_endpoint},
                                                         {"stats_endpoint", &CircusConfig::stats_endpoint}};
    // The file of a TCP endpoint would be nobody's, and everybody could use it.
    if (circus.endpoint_owner && circus.endpoint.starts_with("tcp:"))
        report_in(bad_value("endpoint_owner", "is for ipc endpoints only; write endpoint = \"ipc://PATH\""),
                  section, "circus", failed);
    bool usable = true;
    for (const auto& [name, field] : fields) {
        if (!section.find(name)) continue;
        const auto problem = endpoint_problem(circus.*field);
        usable = usable && !problem && !failed.contains(name);
        if (problem) report_in(bad_value(name, *problem), section, "circus", failed);
    }
    if (!usable) return;
    fill_endpoints(circus, ::geteuid() == 0, ::geteuid(), environment_);
    for (size_t i = 0; i < std::size(fields); ++i) {
        const auto& [name, field] = fields[i];
        if (!section.find(name)) {
            if (const auto problem = endpoint_problem(circus.*field))
                report_in(bad_value("endpoint", cat("leaves no ", name, " beside it (", circus.*field, ": ",
                                                    *problem, "); give one")),
                          section, "circus", failed);
            continue;
        }
        for (size_t other = 0; other < std::size(fields); ++other)
            if (circus.*fields[other].second == circus.*field &&
                (other < i || (other > i && !section.find(fields[other].first))))
                report_in(bad_value(name, cat("is the ", fields[other].first, " too")), section, "circus",
                          failed);
    }
}

void Loader::read_socket(const Entry& section, const std::string& name) {
    SocketConfig socket;
    socket.name = section.key;
    static const Vocabulary<SocketConfig> kVocabulary{
        [](std::string_view option) { return find_row(socket_rows(), option); }, names_of(socket_rows()), {}};
    const Failed failed = read_options(socket, section, name, kVocabulary);
    check_unix_socket(socket, section, name, failed);
    check_steering(socket, section, name, failed);
    if (socket.type == SocketType::Raw && socket.proto == 0)
        report_in(bad_value("type", "a raw socket needs a protocol; write proto = \"icmp\" or another"),
                  section, name, failed);
    out_.config.sockets.push_back(std::move(socket));
}

void Loader::check_steering(const SocketConfig& socket, const Entry& section, const std::string& name,
                            const Failed& failed) {
    if (socket.steering == SteeringKind::Kernel) return;
    const char* const why =
        socket.family == Family::Unix ? "a unix socket has only one listener; leave it out"
        : socket.type != SocketType::Stream
            ? "there are connections to steer only with type = \"SOCK_STREAM\"; leave it out"
        : !socket.so_reuseport
            ? "needs so_reuseport = true beside it: without, all workers share one listener"
            : nullptr;
    if (why) report_in(bad_value("steering", why), section, name, failed);
}

void Loader::check_unix_socket(SocketConfig& socket, const Entry& section, const std::string& name,
                               const Failed& failed) {
    const bool is_unix = !socket.path.empty() || socket.family == Family::Unix;
    const std::vector<std::string_view> useless =
        is_unix ? std::vector<std::string_view>{"host", "port", "interface"}
                : std::vector<std::string_view>{"umask", "replace", "owner", "group"};
    for (const auto option : useless)
        if (const Entry* given = section.find(option))
            warning(given->at, cat("\"", option, "\" in [", name, "] has no effect: it is not for ",
                                   is_unix ? "unix" : "internet", " sockets"));
    if (!is_unix) return;
    if (socket.path.empty() && !failed.contains("path"))
        error(section.at,
              file_text({Fault::Kind::Missing, "path", {}, {}, "; an AF_UNIX socket needs one", {}, 3}, name,
                        {}));
    if (socket.family != Family::Unix && section.find("family"))
        report_in(bad_value("family", "a socket with a path is AF_UNIX"), section, name, failed);
    if (socket.path.size() > kLongestUnixPath)
        report_in(bad_value("path", cat("has ", socket.path.size(), " bytes; a unix socket's path may have ",
                                        kLongestUnixPath)),
                  section, name, failed);
    if (socket.so_reuseport)
        report_in(bad_value("so_reuseport", "a unix socket has only one listener"), section, name, failed);
    socket.family = Family::Unix;
}

}  // namespace circus::config
