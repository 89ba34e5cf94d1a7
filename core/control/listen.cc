#include "control/listen.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>
#include <unistd.h>

#include "base/text.hpp"
#include "config/endpoints.hpp"
#include "control/client.hpp"
#include "control/interrupt.hpp"
#include "control/output.hpp"

namespace circus::control {

std::string reachable(const std::string& events, const std::string& control) {
    constexpr std::string_view kTcp = "tcp://";
    for (const std::string_view any : {"tcp://0.0.0.0:", "tcp://*:", "tcp://[::]:"}) {
        if (!events.starts_with(any) || !control.starts_with(kTcp)) continue;
        return control.substr(0, control.rfind(':')) + events.substr(any.size() - 1);
    }
    return events;
}

bool is_out_of_reach(const std::string& events, const std::string& control) {
    return config::is_local(events) && !config::is_local(control);
}

int print_events(const std::string& endpoint, const std::vector<std::string>& topics, const MaybeKeys& keys) {
    ::signal(SIGPIPE, SIG_IGN);  // a write that fails says the same
    auto events = Subscriber::connect(endpoint, topics, keys);
    if (!events) return complain(cat("circusctl: ", events.error().text), Exit::Failed);
    while (true) {
        const auto event = events->next(STDOUT_FILENO);
        if (!event && (event.error().code == EINTR || event.error().code == EPIPE))
            return static_cast<int>(Exit::Ok);
        if (!event) return complain(cat("circusctl: ", event.error().text), Exit::Failed);
        say(cat(event->topic, ": ", event->payload));
        if (std::fflush(stdout) != 0) return finish(static_cast<int>(Exit::Ok));
    }
}

}  // namespace circus::control
