// `circusctl --ssh HOST …`: the same words are given to the circusctl of that host, by the user's own ssh,
// which takes the place of this process. So keys, agents, jump hosts and ~/.ssh/config are ssh's business, an
// ipc endpoint over there is as good as any, no port is opened on either side, and the exit code is that of
// the circusctl there (255: ssh's own failure).
#pragma once

#include <string>
#include <vector>

#include "control/command_line.hpp"
#include "control/look.hpp"

namespace circus::control {

// For the shell that sshd starts, whichever it is: words of a shell without surprises stay as they are.
std::string quoted_for_shell(const std::string& word);
// What is run. `look`: of standard output here. `prompt`: the shell is wanted, and on a terminal.
Result<std::vector<std::string>> ssh_command(const Invocation& invocation, const std::string& program,
                                             const Look& look, bool prompt);
// $CIRCUSCTL_SSH or ssh. Returns only if it cannot be run; the exit code.
int run_by_ssh(const Invocation& invocation);

}  // namespace circus::control
