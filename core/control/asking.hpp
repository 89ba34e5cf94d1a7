// How circusctl reaches its daemon: which endpoint an invocation means, what is said when nobody answers
// there, and the quick questions of completion.
#pragma once

#include <string>

#include "base/result.hpp"
#include "control/client.hpp"
#include "control/command_line.hpp"
#include "control/completion.hpp"

namespace circus::control {

std::string endpoint_of(const Invocation& invocation);
// Of --curve or CIRCUSCTL_CURVE; none: neither is given. An error says what is wrong with the file.
Result<MaybeKeys> keys_of(const Invocation& invocation);
// An ipc endpoint without its file: nobody will answer there, unless a daemon is just about to start.
bool nobody_is_there(const std::string& endpoint);
// Of a call that got no answer. Says why, as far as it can be seen from here; the exit code.
int complain_of(const Error& error, const std::string& endpoint, double timeout);

// Answers from the daemon that `own` (and the line that is completed) means, within half a second in all;
// nothing after a question without an answer.
Ask quick_ask(const Invocation& own);

}  // namespace circus::control
