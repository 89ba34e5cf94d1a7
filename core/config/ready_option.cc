// `ready`: "spawned", "notify", or a table with exactly one member that says what is looked at.
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/pattern.hpp"
#include "base/text.hpp"
#include "config/option_row_impl.hpp"
#include "config/probe_address.hpp"

namespace circus::config {
namespace {

using Kind = ReadyConfig::Kind;

struct Form {
    std::string_view name;
    Kind kind;
};
constexpr std::array<Form, 2> kReadyWords = {{{"spawned", Kind::Spawned}, {"notify", Kind::Notify}}};
constexpr std::array<Form, 4> kReadyMembers = {
    {{"log", Kind::Log}, {"tcp", Kind::Tcp}, {"http", Kind::Http}, {"exec", Kind::Exec}}};

template <class Forms>
std::vector<std::string> names_of(const Forms& forms) {
    std::vector<std::string> names;
    for (const Form& form : forms) names.emplace_back(form.name);
    return names;
}

template <class Forms>
const Form* find_form(const Forms& forms, std::string_view name) {
    const auto at =
        std::find_if(forms.begin(), forms.end(), [name](const Form& f) { return f.name == name; });
    return at == forms.end() ? nullptr : &*at;
}

std::optional<Fault> read_word(const std::string& word, std::string_view key, ReadyConfig* out) {
    if (const Form* form = find_form(kReadyWords, word)) {
        *out = {form->kind, {}};
        return std::nullopt;
    }
    if (find_form(kReadyMembers, word))
        return bad_value(key, cat("write {", word, " = \"…\"}, with what is looked at"));
    const auto near = did_you_mean(word, names_of(kReadyWords));
    return bad_value(key, cat("must be \"spawned\", \"notify\" or a table",
                              near ? cat("; did you mean \"", *near, "\"?") : ""));
}

std::optional<Fault> read_table(const Json& value, std::string_view key, ReadyConfig* out) {
    for (const auto& [name, member] : value.items()) {
        const Form* const form = find_form(kReadyMembers, name);
        if (!form) {
            Fault fault{Fault::Kind::Unknown, std::string(key), name, ValueType::Text, {}, {}, 3};
            fault.text = did_you_mean(name, names_of(kReadyMembers)).value_or("");
            return fault;
        }
        ReadyConfig parsed{form->kind, {}};
        if (auto fault = read_text(member, key, &parsed.target)) {
            fault->sub_key = name;
            return fault;
        }
        *out = std::move(parsed);
    }
    if (value.size() != 1)
        return bad_value(key, cat("names ", value.empty() ? "none" : "more than one", " of ",
                                  join(names_of(kReadyMembers), ", ")));
    return std::nullopt;
}

std::optional<Fault> read_ready(const Json& value, std::string_view key, ReadyConfig* out) {
    if (value.is_string()) return read_word(value.get_ref<const std::string&>(), key, out);
    if (value.is_object()) return read_table(value, key, out);
    return wrong_type(key, ValueType::Ready);
}

Json ready_to_json(const ReadyConfig& ready) {
    for (const Form& form : kReadyWords)
        if (form.kind == ready.kind) return form.name;
    for (const Form& form : kReadyMembers)
        if (form.kind == ready.kind) return {{form.name, ready.target}};
    return {};
}

std::string wrong_command(const WatcherConfig& config) {
    if (config.shell) return trim(config.ready.target).empty() ? "names no program" : "";
    const auto words = split_words(config.ready.target);
    if (!words) return words.error().text;
    return words->empty() || words->front().empty() ? "names no program" : "";
}

std::string wrong_log(const WatcherConfig& config) {
    if (!config.stdout_stream && !config.stderr_stream)
        return "circusd reads no output of this watcher; give it a stdout_stream or a stderr_stream";
    if (config.ready.target.empty()) return "an empty pattern matches every line; write \".\" for any line";
    const auto pattern = Pattern::compile(config.ready.target);
    return pattern ? "" : cat("is no regular expression: ", pattern.error().text);
}

std::string what_is_wrong(const WatcherConfig& config) {
    // What is filled in for each worker makes a text of it that nobody knows yet.
    const std::string& target = config.ready.target;
    const bool is_late = target.find("$(") != std::string::npos || target.find("((") != std::string::npos;
    const auto why = [](const auto& parsed) { return parsed ? std::string() : parsed.error().text; };
    switch (config.ready.kind) {
        case Kind::Spawned:
        case Kind::Notify:
            return {};
        case Kind::Log:
            return wrong_log(config);
        case Kind::Tcp:
            return is_late ? "" : why(parse_tcp_address(target));
        case Kind::Http:
            return is_late ? "" : why(parse_http_url(target));
        case Kind::Exec:
            return wrong_command(config);
    }
    return {};
}

}  // namespace

Row<WatcherConfig> ready_row() {
    return make_row(
        "ready", ValueType::Ready, &WatcherConfig::ready, Effect::Live,
        "when a new process counts as running, for reload and for who depends on it: \"spawned\"; "
        "\"notify\": it "
        "says READY=1 as sd_notify(3) does; {log = \"regex\"}: a line of its output matches; {tcp = "
        "\"host:port\"}: "
        "somebody listens there; {http = \"url\"}: it answers with 2xx or 3xx; {exec = \"command\"}: that "
        "exits "
        "with 0. A change is for processes spawned from then on",
        read_ready, ready_to_json);
}

std::optional<Fault> check_ready(const WatcherConfig& config) {
    const std::string wrong = what_is_wrong(config);
    if (wrong.empty()) return std::nullopt;
    Fault fault = bad_value("ready", wrong);
    for (const Form& form : kReadyMembers)
        if (form.kind == config.ready.kind) fault.sub_key = form.name;
    return fault;
}

}  // namespace circus::config
