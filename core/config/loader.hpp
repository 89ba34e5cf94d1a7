// Loader: one load() in progress. Turns a merged document into a Config and collects what is wrong with it;
// no error ends the work, so that all are told at once. Internal to this folder.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"
#include "config/fault.hpp"
#include "config/load.hpp"
#include "config/option_row.hpp"
#include "config/sources.hpp"
#include "config/substitute.hpp"

namespace circus::config {

class Loader {
  public:
    Loader(Sources sources, const std::vector<std::string>& environment, bool as_pid1,
           const PluginCatalog* catalog);
    // Once: fills and hands out everything but Config::file and Config::directory.
    Loaded run();

  private:
    // The options of one kind of section.
    template <class Section>
    struct Vocabulary {
        std::function<const Row<Section>*(std::string_view name)> find;
        std::vector<std::string> names;
        std::vector<std::string_view> unavailable;
    };
    // Variables for the watchers whose names match one of `patterns`; none: for all.
    struct EnvGroup {
        std::vector<std::string> patterns;
        EnvList variables;
    };
    using Failed = std::set<std::string, std::less<>>;  // options that have had an error

    void error(Position at, std::string text);
    void warning(Position at, std::string text);
    void report(const Fault& fault, const Entry& option, std::string_view section);
    // A fault about an option of `section`, wherever it stands there, unless the option has failed already.
    void report_in(const Fault& fault, const Entry& section, std::string_view name, const Failed& failed);

    void check_sections();
    template <class Read>
    void each_named(std::string_view kind, Read read);
    template <class Section>
    Failed read_options(Section& target, const Entry& section, const std::string& name,
                        const Vocabulary<Section>& vocabulary);

    void read_circus();
    void check_endpoints(const Entry& section, const Failed& failed);
    void check_reach(const Entry& section, const Failed& failed);
    void read_curve(const Entry& section, const Failed& failed);
    void read_socket(const Entry& section, const std::string& name);
    void check_steering(const SocketConfig& socket, const Entry& section, const std::string& name,
                        const Failed& failed);
    void check_unix_socket(SocketConfig& socket, const Entry& section, const std::string& name,
                           const Failed& failed);
    void read_env();
    EnvList read_variables(const Entry& table, const std::string& section);
    void warn_of_idle_groups();
    void read_plugin_path();
    void read_plugin(const Entry& section, const std::string& name);
    void add_implied_plugins();
    std::string beside_main_file(const std::string& path) const;
    void use_plugin(PluginConfig& plugin, const Entry* section, const std::string& name, Position at);
    void read_plugin_options(PluginConfig& plugin, const Entry& section, const std::string& name,
                             const Json& rows);
    // One option by a plugin's row for it. Null: an error was reported.
    std::optional<Json> plugin_value(const Entry& option, const Json& row, const std::string& section);
    // [watcher.web] flapping.max_retry: the plugin's options for this watcher. False: no plugin has that
    // name.
    bool read_overrides(WatcherConfig& watcher, const Entry& table, const std::string& name);
    void read_watcher(const Entry& section, const std::string& name);
    void check_watcher_section(const WatcherConfig& watcher, const Entry& section, const std::string& name,
                               const Failed& failed);
    void warn_of_idle_options(const WatcherConfig& watcher, const Entry& section, const std::string& name,
                              const Failed& failed);
    void check_depends();
    EnvList merged_env(const WatcherConfig& watcher, const Entry* own) const;

    // `option` with $(circus.env.NAME) filled in, and a text that became a number made one.
    Entry substituted(const Entry& option, ValueType type, const std::string& section);
    void substitute_value(Json& value, const Entry& option, bool late_wid, const std::string& section);
    void check_late_names(const Entry& option, const Lookup& known, const std::string& section);
    void warn_of_unknown(const Entry& option, const std::vector<std::string>& unknown,
                         const std::vector<std::string>& candidates, const std::string& section);
    std::vector<std::string> environment_names() const;
    const SocketConfig* find_socket(std::string_view name) const;
    std::vector<std::string> socket_names(std::string_view prefix) const;
    SocketFd socket_numbers() const;

    Sources sources_;
    const bool as_pid1_;
    const PluginCatalog* const catalog_;
    std::map<std::string, Json, std::less<>>
        plugin_rows_;  // by section's and by plugin's name, in lower case
    const std::vector<std::string>& environment_;
    Lookup environment_lookup_;
    bool expects_stream_classes_ = false;  // a plugin that is used has some, or may have
    std::vector<EnvGroup> env_groups_;
    std::vector<const Entry*> env_group_entries_;
    Loaded out_;
};

}  // namespace circus::config
