// What the loader would say of one option, for whoever writes a configuration instead of reading one: the
// option tables are asked, so a file that was written by their verdict passes the check of the same version.
#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"

namespace circus::config {

enum class SectionKind { Circus, Watcher, Socket };

struct Verdict {
    enum class What {
        Fine,
        NotAvailable,  // the option, or this value of it, is not part of this version
        Wrong,         // `text` is the loader's error, without its place
    };
    What what = What::Fine;
    std::string text;
};

// `section` without brackets, for the text: "watcher.web". Users and groups are not looked up, and a value
// with a substitution in it is taken to be right: both belong to the machine where the file will be loaded.
Verdict judge_option(SectionKind kind, std::string_view section, std::string_view name, const Json& value);

}  // namespace circus::config
