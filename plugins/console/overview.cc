#include "overview.hpp"

#include <array>
#include <exception>
#include <utility>

#include <circus/values.hpp>

#include "foreign_json.hpp"
#include "http.hpp"

namespace console {

namespace {

// How long options and counts are believed without an event that says they changed.
constexpr auto kBelieved = std::chrono::seconds(10);
constexpr const char* kFigures = "figures";
constexpr std::array kShownOptions{"numprocesses", "priority", "singleton"};

// A watcher's name as topics have it.
std::string topic_name(const std::string& watcher) {
    std::string name = to_lower(watcher);
    for (char& c : name)
        if (c == ' ') c = '_';
    return name;
}

const Json& answer_to(const char* command, const std::map<std::string, Json>& answers) {
    static const Json kNothing = Json::object();
    const auto at = answers.find(command);
    return at != answers.end() ? at->second : kNothing;
}

}  // namespace

void Overview::ask(Time now, Ready ready) {
    now_ = now;
    waiting_.push_back(std::move(ready));
    if (waiting_.size() > 1) return;
    const auto round = std::make_shared<Round>();
    const bool wants_figures = figures_changed_ || now - figures_when_ > kBelieved;
    round->open = wants_figures ? 5 : 4;
    const auto send = [&](const char* command, const Json& properties) {
        backend_.command(command, properties,
                         [this, round, command](const Answer& answer) { take(round, command, answer); });
    };
    send("status", Json::object());
    send("stats", {{"children", false}});  // which take most of the time, and nobody is shown
    send("listsockets", {{"figures", true}});
    send("dstats", Json::object());
    if (!wants_figures) return;
    figures_changed_ = false;  // by what is heard from now on
    figures_when_ = now;
    send(kFigures, Json::object());
}

void Overview::take(const std::shared_ptr<Round>& round, const std::string& command, const Answer& answer) {
    if (command == kFigures)
        take_figures(answer);
    else if (answer.ok())
        round->answers[command] = answer.fields;
    else
        round->failure = answer;
    if (--round->open > 0) return;
    if (round->failure.ok()) ask_options(round);
    if (round->open == 0) finish(*round);
}

// Without them there is a round all the same: a Circus in Python has none.
void Overview::take_figures(const Answer& answer) {
    figures_ = answer.ok() ? object_in(answer.fields, "watchers") : Json::object();
    if (!answer.ok() && answer.status != CIRCUS_E_NOT_FOUND) figures_changed_ = true;
}

void Overview::ask_options(const std::shared_ptr<Round>& round) {
    const Json& statuses = object_in(answer_to("status", round->answers), "statuses");
    std::erase_if(options_, [&](const auto& each) { return !statuses.contains(each.first); });
    std::vector<std::string> unknown;
    for (const auto& watcher : statuses.items())
        if (const auto at = options_.find(watcher.key());
            at == options_.end() || now_ - at->second.when > kBelieved)
            unknown.push_back(watcher.key());
    round->open = unknown.size();
    for (const auto& name : unknown)
        backend_.command("get", {{"name", name}, {"keys", kShownOptions}},
                         [this, round, name](const Answer& answer) {
                             // Not an error of the round: it may have been removed meanwhile.
                             if (answer.ok()) options_[name] = {object_in(answer.fields, "options"), now_};
                             if (--round->open == 0) finish(*round);
                         });
}

// How many processes were replaced, and why, since circusd was started.
void Overview::add_restarts(const std::string& watcher, Json& row) const {
    const auto known = figures_.find(watcher);
    if (known == figures_.end() || !known->is_object()) return;
    const Json& reasons = object_in(*known, "replaced");
    std::uint64_t sum = 0;
    for (const auto& count : reasons)
        if (count.is_number_integer()) sum += count.get<std::uint64_t>();
    row["restarts"] = sum;
    row["replaced"] = reasons;
}

Json Overview::watchers(const Round& round) const {
    Json rows = Json::array();
    const Json& statuses = object_in(answer_to("status", round.answers), "statuses");
    for (const auto& [name, state] : statuses.items()) {
        double cpu = 0;
        double rss = 0;
        double mem = 0;
        std::size_t running = 0;
        if (infos_.contains(name))
            for (const auto& each : infos_.at(name)) {
                if (!each.is_object()) continue;  // a text: it vanished
                ++running;
                cpu += number_in(each, "cpu");
                mem += number_in(each, "mem");
                if (each.contains("mem_info1")) rss += circus::bytes_of(each.at("mem_info1")).value_or(0);
            }
        const auto counted = counted_.find(topic_name(name));
        const Counted sums = counted == counted_.end() ? Counted{} : counted->second;
        Json row{{"name", name},
                 {"status", state.is_string() ? state : Json("unknown")},
                 {"running", running},
                 {"cpu", cpu},
                 {"mem", mem},
                 {"rss", rss},
                 {"spawns", sums.spawns},
                 {"deaths", sums.deaths}};
        if (const auto known = options_.find(name); known != options_.end())
            for (const char* const option : kShownOptions)
                if (known->second.options.contains(option)) row[option] = known->second.options.at(option);
        add_restarts(name, row);
        rows.push_back(std::move(row));
    }
    return rows;
}

void Overview::finish(const Round& round) {
    // Whatever happens here, those who wait get to know, and the next round can begin.
    const auto waiting = std::exchange(waiting_, {});
    std::exception_ptr wrong;
    Answer result{CIRCUS_E_EXCEPTION, {{"status", "error"}, {"reason", "the overview has failed"}}};
    try {
        result = result_of(round);
    } catch (...) {
        wrong = std::current_exception();
    }
    for (const Ready& ready : waiting) {
        try {
            ready(result);
        } catch (...) {
            wrong = std::current_exception();
        }
    }
    if (wrong) std::rethrow_exception(wrong);
}

Answer Overview::result_of(const Round& round) {
    if (!round.failure.ok()) return round.failure;
    const auto& answers = round.answers;
    infos_ = object_in(answer_to("stats", answers), "infos");
    return {CIRCUS_OK,
            {{"status", "ok"},
             {"time", number_in(answer_to("status", answers), "time")},
             {"watchers", watchers(round)},
             {"sockets", array_in(answer_to("listsockets", answers), "sockets")},
             {"daemon", object_in(answer_to("dstats", answers), "info")}}};
}

void Overview::heard(const std::string& topic, const Json& payload) {
    constexpr std::string_view kStart = "watcher.";
    const auto end = topic.rfind('.');
    if (!topic.starts_with(kStart) || end < kStart.size()) return;
    const std::string name = topic.substr(kStart.size(), end - kStart.size());
    const std::string event = topic.substr(end + 1);
    figures_changed_ |= event == "spawn" || event == "reap";
    if (event == "spawn")
        ++counted_[name].spawns;
    else if (event == "reap")
        ++counted_[name].deaths;
    else if (payload.contains("watcher") && payload.at("watcher").is_string())
        options_.erase(payload.at("watcher").get<std::string>());
    if (event == "remove") counted_.erase(name);
}

Json Overview::processes(const std::string& watcher) const {
    Json rows = Json::array();
    if (infos_.contains(watcher))
        for (const auto& each : infos_.at(watcher))
            if (each.is_object()) rows.push_back(each);
    return rows;
}

}  // namespace console
