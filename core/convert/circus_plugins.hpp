// Circus's own plugins and circusd's of the same name: which options have a counterpart. A plugin's section
// and a watcher's overrides ("flapping.max_retry") are read by the same table.
#pragma once

#include <string_view>

#include "convert/ini.hpp"
#include "convert/stack.hpp"

namespace circus::convert {

struct CircusPlugin;

// By the dotted path that `use` says; null: none of Circus's own.
const CircusPlugin* find_circus_plugin(std::string_view path);
// By the name that both have, as the overrides in a watcher's section begin: "flapping".
const CircusPlugin* find_circus_plugin_by_name(std::string_view name);

std::string_view name_of(const CircusPlugin& plugin);

// Sets `key` to what the option called `name` of the plugin says, or remarks why there is nothing to set.
void convert_plugin_option(Stack& stack, Section& section, const CircusPlugin& plugin, std::string_view key,
                           std::string_view name, const std::string& value, const Place& at);
// What Circus does without an option and circusd does not.
void finish_plugin(Stack& stack, Section& section, const CircusPlugin& plugin);

}  // namespace circus::convert
