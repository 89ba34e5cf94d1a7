// The tables of [socket.NAME] and [circus].
#include <algorithm>

#include <climits>

#include "base/text.hpp"
#include "config/log_output.hpp"
#include "config/multicast.hpp"
#include "config/option_row_impl.hpp"

namespace circus::config {
namespace {

using S = SocketConfig;
using C = CircusConfig;

Choices<SteeringKind> named_choices(std::initializer_list<SteeringKind> kinds) {
    Choices<SteeringKind> choices;
    for (const SteeringKind kind : kinds) choices.emplace_back(to_string(kind), kind);
    return choices;
}

// Live: the socket is changed as it is. Respawn: and who uses it is started anew. Restart: it is bound anew.
std::vector<Row<S>> make_socket_rows() {
    using enum Effect;
    return {
        text_row("host", &S::host, Restart, "name or number of the address"),
        integer_row("port", &S::port, {0, 65535}, Restart, "0: any free one"),
        choice_row("family", &S::family,
                   Choices<Family>{
                       {"AF_INET", Family::Inet}, {"AF_INET6", Family::Inet6}, {"AF_UNIX", Family::Unix}},
                   "address family; a path makes it AF_UNIX"),
        choice_row("type", &S::type,
                   Choices<SocketType>{{"SOCK_STREAM", SocketType::Stream},
                                       {"SOCK_DGRAM", SocketType::Dgram},
                                       {"SOCK_SEQPACKET", SocketType::SeqPacket},
                                       {"SOCK_RAW", SocketType::Raw},
                                       {"SOCK_RDM", SocketType::Rdm}},
                   "kind of socket"),
        make_row("proto", ValueType::Text, &S::proto, Restart,
                 "protocol, by its name in protocols(5) or its number; without it: the usual one of the type",
                 read_protocol, [](int proto) { return proto == 0 ? Json() : Json(proto); }),
        integer_row("backlog", &S::backlog, {1, INT_MAX}, Live, "length of the accept queue"),
        text_row("path", &S::path, Restart, "a unix socket at this path; \"@name\" is an abstract one"),
        octal_row("umask", &S::umask, Live, "umask of the unix socket's file, as an octal string"),
        boolean_row("replace", &S::replace, Live, "an existing socket file is replaced, else it is an error"),
        text_row("interface", &S::interface, Restart, "bind to this network device"),
        boolean_row("so_reuseport", &S::so_reuseport, Restart, "each worker slot has a listener of its own"),
        choice_row("steering", &S::steering,
                   named_choices({SteeringKind::Kernel, SteeringKind::RoundRobin, SteeringKind::LeastLoaded}),
                   "who gets a new connection, with so_reuseport: kernel, by the hash of its addresses; "
                   "round_robin, the slots in turn; least_loaded, the slot with the fewest connections, "
                   "waiting and in hand. Only slots with a worker that is ready are asked. The last two are "
                   "an eBPF program, which takes root or CAP_BPF and CAP_NET_ADMIN; without, the kernel "
                   "does it, and the log and `listsockets --figures` say why",
                   Live),
        boolean_row("blocking", &S::blocking, Respawn, "the descriptor is blocking"),
        user_row("owner", &S::owner, Live, "owner of the unix socket's file"),
        group_row("group", &S::group, Live, "group of the unix socket's file"),
    };
}

// A text that `parse` has something to say about.
template <class Parse>
Row<C> checked_row(std::string_view name, std::string C::*field, Parse parse, std::string_view doc) {
    auto row = text_row(name, field, Effect::Live, doc);
    row.parse = [field, parse](C& config, const Json& value, std::string_view key) -> Faults {
        std::string text;
        if (auto fault = read_text(value, key, &text)) return {*fault};
        if (!text.empty())
            if (const auto parsed = parse(text); !parsed) return {bad_value(key, parsed.error().text)};
        config.*field = std::move(text);
        return {};
    };
    return row;
}

std::optional<Fault> read_folders(const Json& value, std::string_view key, std::vector<std::string>* out) {
    const Json list = value.is_string() ? Json::array({value}) : value;
    if (!list.is_array() || std::any_of(list.begin(), list.end(), [](const Json& each) {
            return !each.is_string() || each.get_ref<const std::string&>().empty();
        }))
        return wrong_type(key, ValueType::TextOrList);
    *out = list.get<std::vector<std::string>>();
    return std::nullopt;
}

std::optional<Fault> read_allowed_user(const Json& value, std::string_view key, AllowedUser* out) {
    const std::string text = value.is_string() ? value.get<std::string>() : std::string();
    const std::size_t colon = text.find(':');
    if (colon != std::string::npos) {
        const auto role = model::parse_role(std::string_view(text).substr(colon + 1));
        if (!role)
            return bad_value(key, cat(py_repr(text.substr(colon + 1)),
                                      " is no role: write USER:read, USER:operate or USER:admin"));
        out->role = *role;
    }
    std::optional<UserRef> user;
    if (auto fault =
            read_user(colon == std::string::npos ? value : Json(text.substr(0, colon)), key, &user)) {
        if (fault->kind == Fault::Kind::WrongType) return wrong_type(key, ValueType::Strings);
        return bad_value(key, cat("no such user: ", py_repr(text.substr(0, colon))));
    }
    out->user = std::move(*user);
    return std::nullopt;
}

std::optional<Fault> read_allowed_users(const Json& value, std::string_view key,
                                        std::vector<AllowedUser>* out) {
    if (!value.is_array()) return wrong_type(key, ValueType::Strings);
    for (const Json& each : value) {
        AllowedUser allowed;
        if (auto fault = read_allowed_user(each, key, &allowed)) return fault;
        out->push_back(std::move(allowed));
    }
    return std::nullopt;
}

Json allowed_users_to_json(const std::vector<AllowedUser>& users) {
    Json list = Json::array();
    for (const AllowedUser& each : users) list.push_back(cat(each.user.written, ":", name_of(each.role)));
    return list;
}

// What the files hold is part of the option: it is read with the configuration.
Row<C> curve_secret_row() {
    auto row =
        text_row("curve_secret", &C::curve_secret, Effect::Restart,
                 "the file of the daemon's own key, mode 0600, made by `circusctl keygen`: tcp endpoints "
                 "then want CURVE, and may be reached from other machines: docs/security.md");
    row.same = [](const C& a, const C& b) {
        return a.curve_secret == b.curve_secret && a.curve_secret_key == b.curve_secret_key;
    };
    row.copy = [](C& to, const C& from) {
        to.curve_secret = from.curve_secret;
        to.curve_secret_key = from.curve_secret_key;
    };
    return row;
}

Row<C> curve_keys_row() {
    auto row =
        text_row("curve_keys", &C::curve_keys, Effect::Live,
                 "the file of the keys that are let in over CURVE, a line each: ROLE NAME KEY, where the "
                 "role is read, operate or admin; reloadconfig reads it again");
    row.same = [](const C& a, const C& b) {
        return a.curve_keys == b.curve_keys && a.curve_clients == b.curve_clients;
    };
    row.copy = [](C& to, const C& from) {
        to.curve_keys = from.curve_keys;
        to.curve_clients = from.curve_clients;
    };
    return row;
}

// Live: reloadconfig puts it into force. Restart: circusd has to be started again.
std::vector<Row<C>> make_circus_rows() {
    using enum Effect;
    return {
        text_row(
            "endpoint", &C::endpoint, Live,
            "control: ipc://PATH or tcp://HOST:PORT; without it: ipc:///run/circus/endpoint for root, else "
            "ipc://$XDG_RUNTIME_DIR/circus/endpoint, or ipc:///tmp/circus-UID/endpoint where that is not "
            "set"),
        text_row("pubsub_endpoint", &C::pubsub_endpoint, Live,
                 "events; without it: beside endpoint, as ipc:///run/circus/pubsub, or of a tcp endpoint the "
                 "next port"),
        user_row("endpoint_owner", &C::endpoint_owner, Live,
                 "a user who may command circusd too: the socket of the endpoint, which must be ipc, is made "
                 "his; what he adds or changes must run as himself"),
        make_row(
            "allow_users", ValueType::Strings, &C::allow_users, Live,
            "users beside root and the daemon's own who may command circusd over the endpoint, by name or "
            "number, each with a role behind a colon: read, operate or admin; without one admin, which "
            "is all that the daemon may do itself: docs/security.md",
            read_allowed_users, allowed_users_to_json),
        curve_secret_row(),
        curve_keys_row(),
        text_row(
            "stats_endpoint", &C::stats_endpoint, Restart,
            "figures; without it: beside endpoint, as ipc:///run/circus/stats, or of a tcp endpoint the next "
            "port but one, which is on 127.0.0.1 alone"),
        number_row("check_delay", &C::check_delay, 0.01, Live,
                   "seconds; period of the safety pass, cap of the back-off"),
        octal_row("umask", &C::umask, Live, "the daemon's own, as an octal string"),
        text_row("pidfile", &C::pidfile, Live, "where the daemon writes its pid"),
        choice_row("loglevel", &C::loglevel,
                   Choices<std::string>{{"debug", "debug"},
                                        {"info", "info"},
                                        {"warning", "warning"},
                                        {"error", "error"},
                                        {"critical", "critical"}},
                   "the least severe lines that are logged", Live),
        checked_row(
            "logoutput", &C::logoutput, parse_log_output,
            "\"-\" is standard error, syslog://HOST:PORT?FACILITY or syslog:///dev/log?FACILITY a syslog "
            "server (by datagrams; without a facility: user), anything else a file"),
        choice_row("log_format", &C::log_format, Choices<std::string>{{"text", "text"}, {"json", "json"}},
                   "lines of the log as text, or as JSON objects", Live),
        boolean_row("debug", &C::debug, Live,
                    "what workers write into their streams goes to the daemon's stdout as well"),
        checked_row("multicast_endpoint", &C::multicast_endpoint, parse_multicast,
                    "discovery: udp://GROUP:PORT, where any datagram is answered with the endpoint; without "
                    "it none is"),
        number_row("warmup_delay", &C::warmup_delay, 0, Live, "seconds between the starts of two watchers"),
        number_row("stop_timeout", &C::stop_timeout, 0, Live,
                   "seconds; the whole stack's deadline on TERM (25 as PID 1)"),
        number_row(
            "arbiter_timeout", &C::arbiter_timeout, 0, Live,
            "seconds that the arbiter, where the plugins run, may be stuck before another takes its place; "
            "0: for ever"),
        boolean_row("statsd", &C::statsd, Live,
                    "loads the plugin stats with its defaults; so does a stats_endpoint that is given"),
        boolean_row("httpd", &C::httpd, Live, "loads the plugin console on httpd_host and httpd_port"),
        text_row("httpd_host", &C::httpd_host, Live, "address of the console"),
        integer_row("httpd_port", &C::httpd_port, {0, 65535}, Live, "port of the console"),
        make_row("plugin_path", ValueType::TextOrList, &C::plugin_path, Live,
                 "folders where `use = \"name\"` of a plugin is looked for, before the built-in one",
                 read_folders, [](const std::vector<std::string>& folders) { return Json(folders); }),
    };
}

}  // namespace

const std::vector<Row<SocketConfig>>& socket_rows() {
    static const auto rows = make_socket_rows();
    return rows;
}

const std::vector<Row<CircusConfig>>& circus_rows() {
    static const auto rows = make_circus_rows();
    return rows;
}

namespace {
template <class Section>
std::vector<OptionInfo> infos(const std::vector<Row<Section>>& rows) {
    std::vector<OptionInfo> list;
    list.reserve(rows.size());
    for (const auto& row : rows) list.push_back(row.info);
    return list;
}
}  // namespace

const std::vector<OptionInfo>& watcher_options() {
    static const auto list = infos(watcher_rows());
    return list;
}

const std::vector<OptionInfo>& socket_options() {
    static const auto list = infos(socket_rows());
    return list;
}

const std::vector<OptionInfo>& circus_options() {
    static const auto list = infos(circus_rows());
    return list;
}

}  // namespace circus::config
