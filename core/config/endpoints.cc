#include "config/endpoints.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/text.hpp"

namespace circus::config {
namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";

std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
    for (const std::string_view entry : environment)
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
            return entry.substr(name.size() + 1);
    return {};
}

// "…/endpoint" -> "…/pubsub", any other path -> "PATH.pubsub", tcp: the port plus `step`.
std::string beside(const std::string& endpoint, std::string_view name, int step) {
    if (endpoint.starts_with(kIpc)) {
        constexpr std::string_view kUsual = "/endpoint";
        if (endpoint.ends_with(kUsual))
            return cat(std::string_view(endpoint).substr(0, endpoint.size() - kUsual.size()), "/", name);
        return cat(endpoint, ".", name);
    }
    const size_t colon = endpoint.rfind(':');
    const auto port = parse_int(std::string_view(endpoint).substr(colon + 1));
    return cat(std::string_view(endpoint).substr(0, colon), ":", port.value_or(0) + step);
}

}  // namespace

std::optional<std::string> endpoint_problem(std::string_view endpoint) {
    if (endpoint.starts_with(kIpc)) {
        const size_t length = endpoint.size() - kIpc.size();
        if (length == 0) return "no path behind ipc://";
        if (length > kLongestUnixPath)
            return cat("the path has ", length, " bytes; a unix socket's may have ", kLongestUnixPath);
        return std::nullopt;
    }
    if (!endpoint.starts_with(kTcp)) return "must be ipc://PATH or tcp://HOST:PORT";
    const std::string_view address = endpoint.substr(kTcp.size());
    const size_t colon = address.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return "must be ipc://PATH or tcp://HOST:PORT";
    const auto port = parse_int(address.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) return "the port must be 1 to 65535";
    return std::nullopt;
}

bool is_local(std::string_view endpoint) {
    if (!endpoint.starts_with(kTcp)) return true;
    const std::string_view address = endpoint.substr(kTcp.size());
    const std::string_view host = address.substr(0, address.rfind(':'));
    if (host == "lo" || host == "localhost" || host == "[::1]" || host == "::1") return true;
    in_addr number{};
    return ::inet_pton(AF_INET, std::string(host).c_str(), &number) == 1 &&
           (ntohl(number.s_addr) >> 24U) == IN_LOOPBACKNET;
}

void fill_endpoints(CircusConfig& config, bool as_root, uid_t uid,
                    const std::vector<std::string>& environment) {
    if (config.endpoint.empty()) {
        const std::string_view runtime = value_of(environment, "XDG_RUNTIME_DIR");
        config.endpoint = as_root            ? "ipc:///run/circus/endpoint"
                          : !runtime.empty() ? cat(kIpc, runtime, "/circus/endpoint")
                                             : cat(kIpc, "/tmp/circus-", uid, "/endpoint");
    }
    if (endpoint_problem(config.endpoint)) return;
    const bool was_given = !config.stats_endpoint.empty();
    if (config.pubsub_endpoint.empty()) config.pubsub_endpoint = beside(config.endpoint, "pubsub", 1);
    if (config.stats_endpoint.empty()) config.stats_endpoint = beside(config.endpoint, "stats", 2);
    // Figures do not leave the machine by themselves.
    if (!is_local(config.stats_endpoint) && !is_local(config.endpoint) && !was_given)
        config.stats_endpoint =
            cat("tcp://127.0.0.1",
                std::string_view(config.stats_endpoint).substr(config.stats_endpoint.rfind(':')));
}

}  // namespace circus::config
