// As many workers as the load of the sockets, or another signal, asks for.
//
// Every kSample the figures of all sockets are read, once for all watchers (`listsockets`). Every kDecide
// each watcher that has an `autoscale` table, and is active, is looked at (`options`, `stats`) and decided
// about (policy.hpp). What is decided is done by the commands that a client would use: more by `incr`,
// fewer by `decr` with `drain`, so that no worker is stopped over a request: what the policy wants fewer of
// waits until it is idle, however long that takes; only what an operator's `max` forbids has an end to that.
// A watcher has one look and one change on its way at a time. What was not carried out is not told, and the
// policy knows nothing of it.
//
// To zero: its workers are drained, and when `stats` shows none any more it is stopped, which leaves an
// on_demand watcher waiting for its next connection, with one worker to start. Until then load that comes
// back makes it grow as ever.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <circus/plugin.hpp>
#include <circus/values.hpp>

#include "explain.hpp"
#include "options.hpp"
#include "report.hpp"
#include "scaled.hpp"
#include "state.hpp"

namespace {

using circus::Json;
using namespace autoscaler;

constexpr auto kSample = std::chrono::milliseconds(250);
constexpr auto kDecide = std::chrono::seconds(1);
// How long the options of a watcher that is not scaled are believed: it may be by then.
constexpr auto kBelieved = std::chrono::seconds(10);
// How often what was learnt is kept; what was decided or said is at once.
constexpr auto kKeep = std::chrono::seconds(10);
constexpr double kUntilIdle = 1e9;  // seconds
// All reasons of a wish.
constexpr const char* kReasons[] = {"busy", "queue", "cpu", "external", "latency"};

class Autoscaler final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_COMMANDS, CIRCUS_EXT_GAUGES, CIRCUS_EXT_STATE,
                                             nullptr};
    using Plugin::Plugin;

    void start() override {
        check(config());
        recall_all();
        command_ =
            command("autoscale", [this](const Json& asked, const circus::Deferred&) { return answer(asked); },
                    {{"summary", "say why a watcher has as many workers as it has, or change that"},
                     {"help",
                      "ACTION is explain: the last decisions; with --decisions as JSON, with all "
                      "signals and wishes. pause, resume: decide and change nothing, or do again. "
                      "set: options of the autoscaler for this watcher, as --max=20, until the "
                      "plugin is stopped; without any they are forgotten. status: of every watcher "
                      "that is scaled, without NAME."},
                     {"arguments", "ACTION [NAME]"}});
        listen();
        sampling_ = every(kSample, [this] { sample(); });
        deciding_ = every(kDecide, [this] { look(); });
        keeping_ = every(kKeep, [this] { keep(); });
        look();
    }
    void reconfigure(const Json& next) override {
        check(next);
        section_ = next;
        for (auto& [name, it] : scaled_) read(name, *it, it->table);
    }

  private:
    using Shared = std::shared_ptr<Scaled>;
    using OnEvent = std::function<void(Scaled&, const Json&)>;

    void check(const Json& section) {
        read_knobs(section);
        section_ = section;
    }
    // Null: it is not scaled, or not any more.
    Shared find(const std::string& name) const {
        const auto at = scaled_.find(name);
        return at == scaled_.end() ? nullptr : at->second;
    }
    static std::string reason_in(const Json& answer) { return answer.value("reason", "no reason given"); }
    static std::string in_topic(std::string name) {
        for (char& c : name) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            if (c == ' ') c = '_';
        }
        return name;
    }

    void hear(const char* glob, OnEvent then) {
        heard_.push_back(on(glob, [this, then = std::move(then)](std::string_view, const Json& event) {
            if (const auto it = find(event.value("watcher", ""))) then(*it, event);
        }));
    }
    void listen() {
        hear("watcher.*.spawn", [this](Scaled& it, const Json& event) {
            it.crew.spawned(event.at("process_pid"), host().now());
        });
        hear("watcher.*.kill",
             [](Scaled& it, const Json& event) { it.crew.killed(event.at("process_pid")); });
        hear("watcher.*.reap", [this](Scaled& it, const Json& event) {
            it.crew.reaped(event.at("process_pid"), host().now());
            if (it.crew.fleet(host().now()).wanted == 0) look();  // it may have been the last one
        });
        hear("watcher.*.ready", [this](Scaled& it, const Json& event) {
            it.crew.became_ready(event.at("process_pid"), host().now());
        });
        hear("watcher.*.flapping", [this](Scaled& it, const Json&) { it.crew.flaps(host().now()); });
        hear("operation.*.reload", [this](Scaled& it, const Json&) { it.crew.reload_asked(host().now()); });
        for (const char* end : {"watcher.*.reload", "watcher.*.reload_failed", "watcher.*.stop",
                                "watcher.*.start", "operation.*.restart"})
            hear(end, [](Scaled& it, const Json&) { it.crew.reloaded(); });
        for (const char* glob : {"watcher.*.add", "watcher.*.remove", "watcher.*.updated", "watcher.*.start"})
            heard_.push_back(on(glob, [this](std::string_view, const Json& event) {
                unscaled_.erase(event.value("watcher", ""));
            }));
    }

    // ---- the load of the sockets ----

    void sample() {
        if (scaled_.empty() || std::exchange(is_sampling_, true)) return;
        call("listsockets", {{"figures", true}}, [this](circus_status status, const Json& answer) {
            is_sampling_ = false;
            if (status != CIRCUS_OK) return complain("the sockets cannot be looked at: " + reason_in(answer));
            for (auto& [name, it] : scaled_) add_sample(name, *it, answer.at("sockets"));
        });
    }
    // A figure that is absent makes the sample incomplete: better none than one that is too small.
    void add_sample(const std::string& name, Scaled& it, const Json& sockets) {
        LoadSample sum;
        sum.at = host().now();
        sum.accepted = sum.drops = 0;
        bool has_any = false, is_complete = true;
        for (const Json& socket : sockets) {
            const Json& users = socket.at("watchers");
            if (std::find(users.begin(), users.end(), name) == users.end()) continue;
            const Json& figures = socket.at("figures");
            if (figures.at("limit") == 0) continue;  // it has no connections: datagrams
            has_any = true;
            warn_if_shared(name, socket);
            if (!figures.at("queue").is_number() || !figures.at("in_flight").is_number()) {
                is_complete = false;
                complain(name + ": no figures of the socket " + socket.at("name").get<std::string>() + ": " +
                         figures.at("absent").dump());
                continue;
            }
            sum.queue += figures.at("queue").get<double>();
            sum.in_flight += figures.at("in_flight").get<double>();
            sum.limit += number_in(figures, "limit").value_or(0);
            add_to(sum.accepted, number_in(figures, "accepted"));
            add_to(sum.drops, number_in(figures, "drops"));
        }
        it.has_sockets = has_any;
        if (has_any && is_complete) it.load.add(sum);
    }

    static void add_to(std::optional<double>& sum, std::optional<double> figure) {
        sum = sum && figure ? std::optional(*sum + *figure) : std::nullopt;
    }
    void warn_if_shared(const std::string& name, const Json& socket) {
        for (const Json& user : socket.at("watchers")) {
            const auto other = user.get<std::string>();
            if (other <= name || !scaled_.contains(other)) continue;
            const auto door = socket.at("name").get<std::string>();
            if (!shared_.insert({name, other, door}).second) continue;
            std::string line = name;
            line.append(" and ").append(other).append(" are both scaled and share the socket ").append(door);
            line.append(": each of them counts all of its load, and both together get too many workers");
            host().warning(line);
        }
    }

    // ---- one watcher after the other ----

    void look() {
        if (std::exchange(is_looking_, true)) return;
        call("status", Json::object(), [this](circus_status status, const Json& answer) {
            is_looking_ = false;
            if (status != CIRCUS_OK) return complain("no status of the watchers: " + reason_in(answer));
            const Json& statuses = answer.at("statuses");
            std::erase_if(scaled_, [&](const auto& each) { return !statuses.contains(each.first); });
            notebook_.forget_all_but(statuses);
            std::erase_if(unscaled_, [&](const auto& each) {
                return !statuses.contains(each.first) || each.second + kBelieved < host().now();
            });
            for (const auto& [name, state] : statuses.items())
                if (!unscaled_.contains(name)) ask_options(name, state == "active");
        });
    }

    void ask_options(const std::string& name, bool is_active) {
        if (const auto it = find(name); it && std::exchange(it->is_asking, true)) return;
        call("options", {{"name", name}}, [=, this](circus_status status, const Json& answer) {
            const auto known = find(name);
            if (known) known->is_asking = false;
            if (status != CIRCUS_OK) return;
            const Json& options = answer.at("options");
            const Json table = table_in(options);
            if (table.empty()) {
                scaled_.erase(name);
                notebook_.forget(name);
                unscaled_[name] = host().now();
                return;
            }
            const auto it = known ? known : scale(name);
            if (!known || it->table != table) read(name, *it, table);
            if (is_active && it->policy && it->policy_problem.empty()) ask_stats(name, *it, options);
        });
    }
    Shared scale(const std::string& name) {
        const auto it = scaled_.emplace(name, std::make_shared<Scaled>()).first->second;
        try {
            notebook_.recall(name, *it, host().now());
        } catch (const std::exception& wrong) {
            host().warning(name + " begins anew: what was kept of it makes no sense: " + wrong.what());
        }
        return it;
    }
    void read(const std::string& name, Scaled& it, const Json& table) {
        it.table = table;
        try {
            it.read(section_, table);
        } catch (const std::exception& wrong) {
            host().error(name + " is not scaled: " + wrong.what());
        }
    }

    void ask_stats(const std::string& name, Scaled& it, const Json& options) {
        it.is_asking = true;
        const int wanted = options.at("numprocesses").get<int>();
        const bool may_be_zero = options.value("on_demand", false);
        const bool is_single = options.value("singleton", false);
        call("stats", {{"name", name}}, [=, this](circus_status status, const Json& answer) {
            const auto asked = find(name);
            if (!asked) return;
            asked->is_asking = false;
            if (status != CIRCUS_OK || is_single) return;
            asked->crew.look(answer.at("info"), wanted, asked->knobs.boot_time, host().now());
            decide(name, *asked, may_be_zero);
        });
    }

    // Nothing: it was never set, or is too old.
    std::optional<circus::Host::Gauge> gauge_of(const std::string& name, const std::string& gauge,
                                                Time max_age) const {
        const auto found = host().gauge(name, gauge);
        return found && found->age <= max_age ? found : std::nullopt;
    }

    void decide(const std::string& name, Scaled& it, bool may_be_zero) {
        const Time now = host().now();
        Signals signals;
        signals.fleet = it.crew.fleet(now);
        signals.fleet.may_be_zero = may_be_zero;
        signals.has_sockets = it.has_sockets;
        if (it.has_sockets) signals.load = it.load.read(now);
        signals.cpu = it.crew.cpu();
        signals.rss = it.crew.rss();
        signals.rss_worker = it.crew.rss_worker();
        if (!it.knobs.external.empty())
            if (const auto found = gauge_of(name, it.knobs.external, it.knobs.max_age))
                signals.external = found->value;
        if (it.knobs.settings.latency_target)
            if (const auto found = gauge_of(name, it.knobs.latency, it.knobs.max_age)) {
                signals.latency = found->value;
                signals.latency_at = now - found->age;
            }
        Decision decision = it.policy->decide(signals, now);
        set_gauges(name, decision);
        const int from = signals.fleet.wanted, to = decision.to;
        const std::string_view held = it.is_paused       ? "paused"
                                      : it.knobs.dry_run ? "dry run"
                                      : it.is_changing   ? "a change is under way"
                                                         : "";
        if (to != from) decision.held = held;
        const bool is_news = to != from && it.knobs.dry_run && !it.is_paused && it.told != to;
        it.told = to == from ? -1 : to;
        it.keep(decision);
        if (is_news) tell(name, decision, true);
        if (!held.empty()) return;
        if (to != from)
            apply(name, it, decision);
        else if (to == 0 && may_be_zero && it.crew.alive() == 0)
            put_to_rest(name, it);
    }

    void set_gauges(const std::string& name, const Decision& decision) const {
        const Fleet& fleet = decision.signals.fleet;
        host().set_gauge(name, "autoscaler.workers", fleet.wanted);
        host().set_gauge(name, "autoscaler.wanted", decision.wanted);
        host().set_gauge(name, "autoscaler.ready", fleet.ready);
        host().set_gauge(name, "autoscaler.booting", fleet.booting);
        host().set_gauge(name, "autoscaler.boot_time",
                         std::chrono::duration<double>(fleet.boot_time).count());
        set_wishes(name, decision.wishes);
        if (!decision.signals.load) return;
        const LoadReading& load = *decision.signals.load;
        host().set_gauge(name, "autoscaler.queue", load.queue);
        host().set_gauge(name, "autoscaler.in_flight", load.in_flight);
        host().set_gauge(name, "autoscaler.busyness", decision.busyness.value_or(0));
    }
    // A wish that is no more is none: its gauge would stand as it was.
    void set_wishes(const std::string& name, const std::vector<Wish>& wishes) const {
        for (const std::string_view reason : kReasons) {
            const std::string gauge = "autoscaler.wanted." + std::string(reason);
            const auto wish = std::find_if(wishes.begin(), wishes.end(),
                                           [&](const Wish& each) { return each.reason == reason; });
            if (wish != wishes.end())
                host().set_gauge(name, gauge, wish->workers);
            else if (host().gauge(name, gauge))
                host().set_gauge(name, gauge, 0);
        }
    }

    void tell(const std::string& name, const Decision& decision, bool is_dry) {
        host().info(name + (is_dry ? " (dry run): " : ": ") + to_text(decision, decision.at));
        host().publish("watcher." + in_topic(name) + ".autoscale", event_of(name, decision, is_dry));
    }

    // ---- the change ----

    void apply(const std::string& name, Scaled& it, const Decision& decision) {
        it.is_changing = true;
        const int from = decision.signals.fleet.wanted, to = decision.to;
        const auto then = [=, this] { was_carried_out(name, decision); };
        if (to > from) return run("incr", {{"name", name}, {"nb", to - from}}, name, then);
        // Not waited for: it may take long, and a growth must be able to end it.
        const double drain = from > it.knobs.settings.max ? it.knobs.drain : kUntilIdle;
        run("decr", {{"name", name}, {"nb", from - to}, {"drain", drain}, {"waiting", false}}, name, then);
    }
    void was_carried_out(const std::string& name, const Decision& decision) {
        done(name);
        const auto it = find(name);
        if (!it || !it->policy) return;
        it->policy->applied(decision.signals.fleet.wanted, decision.to, host().now());
        tell(name, decision, false);
        keep();
    }
    void put_to_rest(const std::string& name, Scaled& it) {
        it.is_changing = true;
        run("stop", {{"name", name}, {"match", "simple"}, {"waiting", true}}, name, [=, this] {
            run("set", {{"name", name}, {"options", {{"numprocesses", 1}}}}, name, [=, this] { done(name); });
        });
    }
    void run(const char* command, const Json& properties, const std::string& name, const TaskFn& then) {
        call(command, properties, [=, this](circus_status status, const Json& answer) {
            if (status == CIRCUS_OK) return then();
            host().error(name + ": " + command + ": " + reason_in(answer));
            done(name);
        });
    }
    void done(const std::string& name) {
        if (const auto it = find(name)) it->is_changing = false;
    }

    // ---- for the arbiter after this one ----

    void recall_all() {
        try {
            if (const auto state = host().kept()) notebook_.open(*state);
        } catch (const std::exception& wrong) {
            host().warning(std::string("what was kept is ignored: ") + wrong.what());
        }
    }
    void keep() {
        try {
            if (const auto state = notebook_.changed(scaled_)) host().keep(*state);
        } catch (const std::exception& wrong) {
            complain(std::string("another arbiter would not know how it stands: ") + wrong.what());
        }
    }

    // The same trouble is not told again as long as it lasts.
    void complain(const std::string& text) {
        if (std::exchange(last_complaint_, text) != text) host().warning(text);
    }

    // ---- the command ----

    circus::Answer answer(const Json& asked) {
        const std::string action = asked.value("action", "");
        if (action == "status") return status();
        const std::string name = asked.value("name", "");
        if (name.empty())
            throw circus::Failure(CIRCUS_E_INVALID, "name the watcher: autoscale " + action + " WATCHER");
        const auto it = find_any_case(name);
        if (!it)
            throw circus::Failure(CIRCUS_E_NOT_FOUND,
                                  "'" + name + "' is not scaled: its section has no table `autoscale`");
        if (action == "explain") return report(*it->second, host().now(), asked.value("decisions", false));
        if (action == "pause" || action == "resume") {
            it->second->is_paused = action == "pause";
            keep();
            return Json::object();
        }
        if (action == "set") return set(it->first, *it->second, asked);
        throw circus::Failure(CIRCUS_E_INVALID,
                              "'" + action + "' is no action: explain, pause, resume, set or status");
    }
    const std::pair<const std::string, Shared>* find_any_case(const std::string& name) const {
        for (const auto& each : scaled_)
            if (in_topic(each.first) == in_topic(name)) return &each;
        return nullptr;
    }

    Json status() const {
        std::string text;
        for (const auto& [name, it] : scaled_)
            text += (text.empty() ? "" : "\n") + name + ": " + summary_of(*it, host().now());
        return {{"scaled", text.empty() ? "no watcher has a table `autoscale`" : text}};
    }
    Json set(const std::string& name, Scaled& it, const Json& asked) {
        const Json wanted = options_in(asked);
        const Json before = it.set;
        if (wanted.empty())
            it.set = Json::object();
        else
            it.set.update(wanted);
        try {
            it.read(section_, it.table);
        } catch (const std::exception&) {
            it.set = before;
            read(name, it, it.table);
            throw;
        }
        keep();
        return Json::object();
    }

    Json section_;
    AllScaled scaled_;
    Notebook notebook_;
    std::map<std::string, Time> unscaled_;  // since when that is known
    bool is_sampling_ = false, is_looking_ = false;
    std::string last_complaint_;
    std::set<std::array<std::string, 3>> shared_;  // by whom which socket is, as it was told
    circus::Registration command_, sampling_, deciding_, keeping_;
    std::vector<circus::Registration> heard_;
};

}  // namespace

CIRCUS_PLUGIN(Autoscaler, "autoscaler", "1.0", "as many workers as the load asks for", kOptions)
