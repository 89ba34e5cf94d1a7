// CommandRegistry: commands that are not in the static table's handlers: those of the plugin layer, whose
// rows are in the table and whose work is not control's, and those that plugins add at run time. Any client
// may send them; `commands` lists them. On the loop's thread.
//
// Neither add() nor remove() is to be called from inside a Run.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace circus::control {

class CommandRegistry {
  public:
    // The fields of the answer, or an error with Circus's number as its code. Called once, at any time.
    using Answered = std::function<void(const Result<Json>&)>;
    using Run = std::function<void(const Json& properties, Answered answered)>;
    struct Entry {
        std::string name;   // as it was added
        std::string owner;  // the plugin's name; empty: circusd itself, and its row is in the table
        std::string summary, help, arguments;
        Run run;
    };

    // An error: the name is taken, or is none (letters, digits and . _ - only).
    Status add(Entry entry);
    void remove(std::string_view name);
    const Entry* find(std::string_view name) const;  // without case
    std::vector<const Entry*> added() const;         // those of plugins, sorted

  private:
    std::map<std::string, Entry, std::less<>> entries_;  // by lower-case name
};

}  // namespace circus::control
