// Values that are not for every reader: of variables of the environment, and of options of plugins, whose
// name or shape says that they hold a secret. Pure.
#pragma once

#include <string_view>

#include "base/json.hpp"

namespace circus::control {

// What stands in the place of a secret. In a message to `set` it means the value that there is.
inline constexpr std::string_view kMask = "********";

// By its name, in any case: it holds PASSWORD, PASSWD, PASSPHRASE, SECRET, TOKEN, CREDENTIAL or PRIVATEKEY,
// ends with PWD (but is not PWD or OLDPWD), or one of its words, divided by what is no letter or digit, is
// PASS, SSHPASS, PWD, AUTH, KEY or APIKEY (API_KEY, but not MONKEY). By its shape: a URL with a password in
// it, or with anything before an @ unless it is of ssh. An empty value is none.
bool is_secret(std::string_view name, std::string_view value);

// `options` as the commands of that name answer.
void mask_secrets(Json& options);

// In a message to `set`: what is masked in `env` is what it is in `now`, and goes where that has none.
void unmask_secrets(Json& options, const Json& now);

}  // namespace circus::control
