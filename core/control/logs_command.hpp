// `circusctl logs -f`: asks again and again, each time for what came since the last answer. The daemon holds
// nothing for those who follow.
#pragma once

#include <functional>
#include <string>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "control/client.hpp"

namespace circus::control {

// Shows each answer that holds lines, by `show(text, skipped)`. Returns when circusd answers an error, with
// that answer's text, when a call fails, with the code EINTR at Ctrl-C (under an InterruptGuard), or with
// EPIPE when nobody reads standard output any more.
Result<std::string> follow_logs(Client& client, Json properties, Duration timeout,
                                const std::function<void(const std::string& text, long long skipped)>& show);

}  // namespace circus::control
