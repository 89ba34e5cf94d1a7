// One row per command: what may stand in its message, how it is written on circusctl's command line, what it
// does in a sentence, and how its answer is shown. Linked into circusd (which validates by it and whose
// handlers are found by the row's name) and into circusctl (whose arguments, help and output come from it).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "control/look.hpp"
#include "model/role.hpp"

namespace circus::control {

// What a property must be. Numbers are accepted as text as well, because circusctl has always sent some so.
enum class PropertyType {
    Any,
    Flag,     // anything; true as Python sees it
    Text,     // 'x' isn't a string
    Integer,  // 'x' isn't an integer
    Seconds,  // 'x' isn't a number; 0 to a billion
    Signal,   // signal invalid
    List,     // 'x' isn't a list
    Object,   // 'x' property should be an object
};

struct Property {
    std::string_view name;
    PropertyType type = PropertyType::Any;
    bool required = false;
    model::Role role = model::Role::None;  // that it takes to give it, where that is more than its command's
};

// A word of the command line.
struct Argument {
    enum class Kind {
        Text,
        Integer,
        RestAsList,     // all that follow
        RestAsText,     // all that follow, joined by blanks
        RestAsOptions,  // all that follow: KEY VALUE [KEY VALUE …]
    };
    std::string_view property;
    Kind kind = Kind::Text;
    bool required = true;
    std::string_view doc = {};
};

// A --switch of the command line.
struct Switch {
    std::string_view name;  // also the property, unless one is named
    std::string_view doc;
    std::string_view value = {};  // what stands for its value in the help; empty: it takes none
    std::string_view property = {};
    bool sets = true;              // what a switch without a value sets its property to
    char letter = 0;               // -o for --output; 0: none
    std::string_view second = {};  // the property of a second value behind the first; empty: it takes one
};

struct Command {
    std::string_view name;
    model::Role role = model::Role::Admin;  // that it takes; without a meaning for what circusctl does itself
    std::string_view summary;
    std::string_view help;
    std::string_view answer = {};  // what it answers beside status, time and id, for docs/commands.md
    std::vector<Property> properties;
    std::vector<Argument> arguments = {};
    std::vector<Switch> switches = {};
    bool waitable = false;       // takes `waiting` (and circusctl --waiting)
    bool changes = false;        // changes something; the others are queries and always answered at once
    bool while_stopping = true;  // may begin while circusd stops; else it is refused as a conflict
    bool explains = false;       // circusctl asks for reasons, with the property `explain`
    bool prints_lines = false;   // as many as there are: nothing where there is none, not an empty line
    bool registered = false;     // carried out by a layer above, through the CommandRegistry
    // An answer that is no error, as circusctl prints it (without the last newline); `asked`: the properties
    // sent. Never null in the table.
    std::string (*render)(const Json& answer, const Json& asked) = nullptr;
    // The same for a terminal, in columns; null: as it is printed elsewhere.
    std::string (*table)(const Json& answer, const Json& asked, const Look& look) = nullptr;
};

std::span<const Command> commands();
const Command* find_command(std::string_view name);  // without case; null: unknown
std::vector<std::string> command_names();
// What circusctl does by itself: in its help and completion, but nothing of it is ever sent. A name may be of
// two words, of which the first may be a command as well ("plugin new").
std::span<const Command> own_commands();
const Command* find_own_command(std::string_view name);  // without case; null: unknown

// Those of the row, and --waiting where it applies.
std::vector<Switch> switches_of(const Command& command);

// Left and right column of what `circusctl help COMMAND` says of its words and switches; words that need no
// explanation are left out.
std::vector<std::pair<std::string, std::string_view>> details(const Command& command);

std::string written(const Switch& option);  // "--signum SIGNAL"
// Lines of two columns, indented by two.
std::string columns(const std::vector<std::pair<std::string, std::string_view>>& rows);

// The command's line of `circusctl --help`: "incr NAME [NB] [--waiting]".
std::string usage(const Command& command);
// All of `circusctl help COMMAND`.
std::string help_text(const Command& command);

}  // namespace circus::control
