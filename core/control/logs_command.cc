#include "control/logs_command.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "control/interrupt.hpp"

namespace circus::control {

namespace {

// Until the time is over, or Ctrl-C. False: whoever read standard output has gone.
bool pause_for(int milliseconds) {
    std::array<pollfd, 2> facts{{{STDOUT_FILENO, 0, 0}, {interrupt_fd(), POLLIN, 0}}};
    poll(facts.data(), facts.size(), milliseconds);
    return (facts[0].revents & (POLLERR | POLLHUP)) == 0;
}

}  // namespace

Result<std::string> follow_logs(Client& client, Json properties, Duration timeout,
                                const std::function<void(const std::string& text, long long skipped)>& show) {
    constexpr int kPause = 200;  // milliseconds; a reader does not see it
    constexpr int kAtOnce = 1000;
    while (true) {
        auto text = client.call("logs", properties, timeout);
        if (!text) return text;
        const Json answer = Json::parse(*text, nullptr, false);
        const auto lines = answer.find("lines");
        if (answer.value("status", "") != "ok" || lines == answer.end()) return text;
        if (!lines->empty()) show(*text, answer.value("skipped", 0LL));
        properties["cursor"] = answer.value("cursor", "");
        properties["lines"] = kAtOnce;
        if (lines->empty() && !pause_for(kPause)) return Error{"nobody reads the output", EPIPE};
    }
}

}  // namespace circus::control
