// What a visitor may ask of circusd. Of who only reads that is decided by the answer of `commands`, in which
// each of circusd's own commands says whether it changes something, and which role it takes; one that does
// not say so is taken to change something. What circusd gives to its role admin alone nobody has here, unless
// allow_add gives it to who may operate.
#pragma once

#include <optional>
#include <string>

#include <circus/plugin.hpp>

#include "settings.hpp"

namespace console {

// `commands`: by name in lower case, as circusd lists them. Nothing: it may; else why not.
std::optional<std::string> refusal_of(Role role, bool allow_add, const std::string& command,
                                      const circus::Json& properties, const circus::Json& commands);

// What a visitor may change of a watcher, by the answer of `options` (asked with `settable`, which a Circus
// in Python does not know): {option: {"effect", "type", "value"}}, of which the last two may be missing.
// "effect" is "respawn" or "restart" where a change costs processes.
circus::Json editable(Role role, bool allow_add, const circus::Json& answer);

// Whether it is one of those that circusd and a Circus in Python are asked all the time, and change nothing.
bool is_query(const std::string& command, const circus::Json& properties);

// Who only reads does not see values of environments, in which secrets are kept.
void hide_secrets(circus::Json& answer);

}  // namespace console
