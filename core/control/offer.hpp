// Commands that a daemon has beside the table's, because its plugins brought them: how circusctl learns of
// them, reads their words and shows their answers. The one place to change when the daemon tells more of
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "control/command_line.hpp"

namespace circus::control {

// The query that lists them. Its answer has `commands`: NAME -> {"summary", "help", "usage"}; a usage is read
// as circusctl writes its own, "scale WATCHER [BY]". Where a plugin says more, `arguments` may be a list of
// names or of
// {"name", "type", "required", "doc"}.
inline constexpr const char* kOffersCommand = "commands";

struct OfferedArgument {
    std::string name = {};
    std::string type = {};  // integer, number, boolean, text; empty: a number where the word is one
    std::string doc = {};
    bool required = false;
};

struct Offer {
    std::string name = {};
    std::string summary = {};
    std::string help = {};
    std::string usage = {};                       // "scale WATCHER [BY]"
    std::vector<OfferedArgument> arguments = {};  // in the order of the words
};

// What is not understood of them is left out; empty for an answer of another kind.
std::vector<Offer> offers_in(const Json& answer);

// The properties to send: words become the arguments in their order, more words the list `args`, --NAME=VALUE
// the property NAME, and --NAME alone true.
Result<Json> properties_of(const Offer& offer, const Invocation& invocation);
std::string help_text(const Offer& offer);
// The only field of the answer, or its fields as lines; "ok" when it has none of its own.
std::string render_offered(const Json& answer);

}  // namespace circus::control
