// Fault: what is wrong with one option, before anybody has decided how to say it. The same parsers serve
// files and the wire; a file's error names section, value and remedy, the wire's repeats Circus's words.
// Internal to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "config/option_table.hpp"

namespace circus::config {

struct Fault {
    enum class Kind {
        Unknown,       // no such option; `text` is the name meant, if one is near
        NotAvailable,  // known, but not part of this version
        NotOfClass,    // an option of another stream class; `text` is the class
        WrongType,     // `type` says what it must be
        BadValue,      // of the right type; `text` is the reason
        Missing,       // the section lacks it; `text` is said behind that
    };
    Kind kind = Kind::BadValue;
    std::string key;      // the option
    std::string sub_key;  // the member, where the option is a table (env, streams, hooks)
    ValueType type = ValueType::Text;
    std::string text;
    std::string wire;  // Circus's text for it, where the general one does not do
    int wire_code = 3;
    std::string inner{};  // the member of the member, where that is a table too (a hook that is a command)
};
using Faults = std::vector<Fault>;

// `section` without brackets: "watcher.web". `value` is what the option (or its member) was given; null if
// nothing was.
std::string file_text(const Fault& fault, std::string_view section, const Json& value);
Error wire_error(const Fault& fault, const Json& value);

// A value as it stands in a TOML file (long ones are cut), and with its type in front: the string "5".
std::string toml_text(const Json& value);
std::string describe(const Json& value);
// A name as part of a section's head: web, "my job".
std::string toml_name(std::string_view name);
// Python's repr() and str() of a value.
std::string py_repr(const Json& value);
std::string py_str(const Json& value);

inline constexpr std::string_view kNotAvailable = "not available in this version of circusd";

}  // namespace circus::config
