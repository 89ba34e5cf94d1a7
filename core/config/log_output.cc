#include "config/log_output.hpp"

#include <algorithm>
#include <iterator>
#include <syslog.h>
#include <vector>

#include "base/text.hpp"
#include "config/endpoints.hpp"

namespace circus::config {
namespace {

struct Facility {
    std::string_view name;
    int number;
};
constexpr Facility kFacilities[] = {
    {"kern", LOG_KERN},     {"user", LOG_USER},     {"mail", LOG_MAIL},     {"daemon", LOG_DAEMON},
    {"auth", LOG_AUTH},     {"security", LOG_AUTH}, {"syslog", LOG_SYSLOG}, {"lpr", LOG_LPR},
    {"news", LOG_NEWS},     {"uucp", LOG_UUCP},     {"cron", LOG_CRON},     {"authpriv", LOG_AUTHPRIV},
    {"ftp", LOG_FTP},       {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7},
};

constexpr std::string_view kScheme = "syslog:";
constexpr std::string_view kForm = "must be syslog://HOST:PORT?FACILITY or syslog:///dev/log?FACILITY";

Result<int> read_facility(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(kFacilities), std::end(kFacilities),
                     [name](const auto& each) { return equals_ignoring_case(each.name, name); });
    if (found != std::end(kFacilities)) return found->number;
    std::vector<std::string> names;
    for (const auto& each : kFacilities) names.emplace_back(each.name);
    const auto near = did_you_mean(name, names);
    return Error{cat("there is no facility \"", name, "\"",
                     near ? cat("; did you mean \"", *near, "\"?") : cat("; there are ", join(names, ", ")))};
}

// HOST, HOST:PORT, [V6] or [V6]:PORT.
Status read_address(std::string_view address, LogOutput& output) {
    std::string_view port;
    if (address.starts_with('[')) {
        const auto end = address.find(']');
        if (end == std::string_view::npos) return Error{std::string(kForm)};
        output.host = address.substr(1, end - 1);
        port = address.substr(end + 1);
    } else {
        const auto colon = address.find(':');
        output.host = address.substr(0, colon);
        if (colon != std::string_view::npos) port = address.substr(colon);
    }
    if (output.host.empty()) return Error{std::string(kForm)};
    if (port.empty()) return Ok{};
    const auto number = port.front() == ':' ? parse_int(port.substr(1)) : std::nullopt;
    if (!number || *number < 1 || *number > 65535) return Error{"the port must be 1 to 65535"};
    output.port = static_cast<int>(*number);
    return Ok{};
}

}  // namespace

Result<LogOutput> parse_log_output(std::string_view written) {
    LogOutput output;
    if (written.empty() || written == "-") return output;
    if (!written.starts_with(kScheme)) {
        output.kind = LogOutput::Kind::File;
        output.path = written;
        return output;
    }
    output.kind = LogOutput::Kind::Syslog;
    output.facility = LOG_USER;
    std::string_view rest = written.substr(kScheme.size());
    if (!rest.starts_with("//")) return Error{std::string(kForm)};
    rest.remove_prefix(2);
    if (const auto mark = rest.find('?'); mark != std::string_view::npos) {
        const auto facility = read_facility(rest.substr(mark + 1));
        if (!facility) return facility.error();
        output.facility = *facility;
        rest = rest.substr(0, mark);
    }
    if (!rest.starts_with('/')) {
        if (const Status read = read_address(rest, output); !read) return read.error();
        return output;
    }
    if (rest.size() > kLongestUnixPath)
        return Error{
            cat("the path has ", rest.size(), " bytes; a unix socket's may have ", kLongestUnixPath)};
    output.path = rest;
    return output;
}

}  // namespace circus::config
