// Row: one option of one section, with its parser and its getter; and the makers of the common kinds of rows.
// Internal to this folder: option_table.hpp is what others see.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/json.hpp"
#include "config/config.hpp"
#include "config/fault.hpp"
#include "config/option_table.hpp"

namespace circus::config {

template <class Section>
struct Row {
    OptionInfo info;
    // Sets the field, or says what is wrong and leaves the section as it was. `key` is the name as given (it
    // matters to rows that stand for many names, such as rlimit_LIMIT).
    std::function<Faults(Section&, const Json&, std::string_view key)> parse;
    std::function<Json(const Section&)> get;  // as `options` shows it; null: not set
    // Whether two sections agree in this option. Empty: what `get` gives is compared.
    std::function<bool(const Section&, const Section&)> same = {};
    std::function<void(Section& to, const Section& from)> copy = {};  // never empty in [circus]
};

const std::vector<Row<WatcherConfig>>& watcher_rows();
const std::vector<Row<SocketConfig>>& socket_rows();
const std::vector<Row<CircusConfig>>& circus_rows();
const std::vector<Row<StreamConfig>>& stream_rows();

// Names that the full vocabulary has and this version has not.
const std::vector<std::string_view>& unavailable_watcher_options();

// The row of an option by its name; rlimit_NOFILE finds rlimit_LIMIT if there is such a limit.
const Row<WatcherConfig>* find_watcher_row(std::string_view name);
std::optional<int> find_rlimit(std::string_view suffix);  // "nofile" -> RLIMIT_NOFILE, in any case
std::vector<std::string> watcher_option_names();          // for "did you mean", each rlimit by its name

Faults parse_stream(std::optional<StreamConfig>& target, const Json& value, std::string_view key);
Json stream_to_json(const std::optional<StreamConfig>& stream);  // with "class"; null: none

// Rules between the options of one stream, that `key` of a watcher is; none of them needs more than the
// stream.
Faults check_stream(std::string_view key, const StreamConfig& stream);

// `hooks`, all of them; and one, as a message gives it ("hooks.before_start"; null or "" takes it away).
Faults parse_hooks(std::map<model::HookPoint, HookConfig>& target, const Json& value, std::string_view key);
Faults parse_hook(std::map<model::HookPoint, HookConfig>& target, std::string_view name, const Json& value);

// `ready`; and what is wrong with its target, as far as that is known before a worker's values are filled in.
Row<WatcherConfig> ready_row();
std::optional<Fault> check_ready(const WatcherConfig& config);
Row<WatcherConfig> depends_row();
Row<WatcherConfig> size_row(std::string_view name, ByteSize WatcherConfig::*field, std::string_view doc);

// Rules between the options of one watcher; none of them needs more than the watcher.
Faults check_options(const WatcherConfig& config);

// Readers of one value: nullopt and *out set, or what is wrong.
struct Range {
    long long low = std::numeric_limits<long long>::min();
    long long high = std::numeric_limits<long long>::max();
};
inline constexpr double kLongestSeconds = 1e9;  // so that no time overflows a clock
std::optional<Fault> read_bool(const Json& value, std::string_view key, bool* out);
std::optional<Fault> read_int(const Json& value, std::string_view key, Range range, long long* out);
std::optional<Fault> read_number(const Json& value, std::string_view key, double low, double* out);
std::optional<Fault> read_text(const Json& value, std::string_view key, std::string* out);
std::optional<Fault> read_octal(const Json& value, std::string_view key, std::optional<mode_t>* out);
std::optional<Fault> read_user(const Json& value, std::string_view key, std::optional<UserRef>* out);
std::optional<Fault> read_group(const Json& value, std::string_view key, std::optional<GroupRef>* out);
std::optional<Fault> read_protocol(const Json& value, std::string_view key, int* out);
std::optional<Fault> read_signal(const Json& value, std::string_view key, int* out);

Json octal_to_json(const std::optional<mode_t>& mode);
Json written_to_json(const std::string& written);  // a user as `options` shows it: 33 or "www-data"

Fault wrong_type(std::string_view key, ValueType type);
Fault bad_value(std::string_view key, std::string reason);
Faults faults(std::optional<Fault> fault);

std::string default_text_of(const Json& value);

// A row around a reader: `read(value, key, &new_value)` and a getter of the field's Json.
template <class Section, class Field, class Read, class Show>
Row<Section> make_row(std::string_view name, ValueType type, Field Section::*field, Effect effect,
                      std::string_view doc, Read read, Show show) {
    return {{name, type, effect, true, doc, default_text_of(show(Section{}.*field))},
            [field, read](Section& section, const Json& value, std::string_view key) -> Faults {
                Field parsed{};
                if (auto fault = read(value, key, &parsed)) return {*fault};
                section.*field = std::move(parsed);
                return {};
            },
            [field, show](const Section& section) { return show(section.*field); },
            [field](const Section& a, const Section& b) { return a.*field == b.*field; },
            [field](Section& to, const Section& from) { to.*field = from.*field; }};
}

template <class Section>
Row<Section> boolean_row(std::string_view name, bool Section::*field, Effect effect, std::string_view doc);
template <class Section>
Row<Section> text_row(std::string_view name, std::string Section::*field, Effect effect,
                      std::string_view doc);
template <class Section>
Row<Section> integer_row(std::string_view name, int Section::*field, Range range, Effect effect,
                         std::string_view doc);
template <class Section>
Row<Section> number_row(std::string_view name, double Section::*field, double low, Effect effect,
                        std::string_view doc);
template <class Section>
Row<Section> octal_row(std::string_view name, std::optional<mode_t> Section::*field, Effect effect,
                       std::string_view doc);
template <class Section>
Row<Section> user_row(std::string_view name, std::optional<UserRef> Section::*field, Effect effect,
                      std::string_view doc);
template <class Section>
Row<Section> group_row(std::string_view name, std::optional<GroupRef> Section::*field, Effect effect,
                       std::string_view doc);

}  // namespace circus::config
