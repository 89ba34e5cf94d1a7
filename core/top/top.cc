#include "top/top.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/asking.hpp"
#include "control/client.hpp"
#include "control/interrupt.hpp"
#include "control/listen.hpp"
#include "control/look.hpp"
#include "top/board.hpp"
#include "top/live.hpp"
#include "top/page.hpp"

namespace circus::top {

namespace {

int fail(const std::string& text, int code = 1) {
    std::fprintf(stderr, "circus-top: %s\n", text.c_str());
    return code;
}

std::optional<SortBy> sort_of(std::string_view word) {
    for (SortBy by = SortBy::Name;; by = next_sort(by)) {
        if (sort_word(by) == word) return by;
        if (next_sort(by) == SortBy::Name) return std::nullopt;
    }
}

std::string nothing_came(const std::string& stats, double timeout) {
    return cat(
        "nothing was published at ", stats, " within ", timeout,
        " s: the figures come from the plugin stats, which `statsd = true` in [circus] loads (in a Circus in "
        "Python it starts circusd-stats)");
}

// One answer, parsed; what the daemon refuses is null, as is what it does not know.
Result<Json> ask(control::Client& client, const std::string& command, const Json& properties,
                 double timeout) {
    const auto text = client.call(command, properties, from_seconds(timeout));
    if (!text) return text.error();
    Json answer = Json::parse(*text, nullptr, false);
    return control::field(answer, "status") == "error" ? Json() : answer;
}

// What is published, for as long as somebody reads it: a table or an object, once or each round.
class Printer {
  public:
    Printer(const Options& options, const Choice& choice, control::Client& client, control::Subscriber& stats)
        : options_(options), choice_(choice), client_(client), stats_(stats) {}

    int run(const std::string& where) {
        const TimePoint begin = Monotonic::now();
        // The first round may have been under way when we came.
        int printed = 1;
        while (true) {
            const auto events = stats_.take(Milliseconds(200), -1);
            if (!events) return events.error().code == EINTR ? 0 : fail(events.error().text);
            for (const auto& event : *events)
                board_.on_frame(event.topic, Json::parse(event.payload, nullptr, false), Monotonic::now());
            board_.forget(Monotonic::now());
            if (board_.rounds() > printed) {
                printed = board_.rounds();
                if (Status shown = show(); !shown) return fail(shown.error().text);
                if (options_.once) return 0;
                if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return 0;  // nobody reads any more
            }
            // Two rounds of a second, and the time that was given.
            if (printed == 1 && Monotonic::now() - begin > from_seconds(options_.timeout + 2))
                return fail(nothing_came(where, options_.timeout + 2));
        }
    }

  private:
    Status show() {
        const auto statuses = ask(client_, "status", Json::object(), options_.timeout);
        if (!statuses) return statuses.error();
        const auto sockets = ask(client_, "listsockets", {{"figures", true}}, options_.timeout);
        if (!sockets) return sockets.error();
        if (statuses->is_object()) board_.on_statuses(*statuses);
        if (sockets->is_object()) board_.on_sockets(*sockets);
        if (options_.json) {
            std::printf("%s\n",
                        board_.json(choice_).dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
            return Ok{};
        }
        PageLook look;
        look.width = control::surroundings_of(STDOUT_FILENO).terminal
                         ? control::surroundings_of(STDOUT_FILENO).width
                         : 200;
        look.height = 0;
        look.processes = options_.by_processes;
        look.endpoint = options_.endpoint;
        for (const Line& line : draw(board_, choice_, look).lines) {
            std::string text;
            for (const Piece& piece : line) text += piece.text;
            std::printf("%s\n", std::string(text.substr(0, text.find_last_not_of(' ') + 1)).c_str());
        }
        return Ok{};
    }

    const Options& options_;
    const Choice& choice_;
    control::Client& client_;
    control::Subscriber& stats_;
    Board board_;
};

}  // namespace

int run_top(const Options& options) {
    const auto by = sort_of(options.sort);
    if (!by)
        return fail(cat("--sort takes name, cpu, memory, age or processes, not \"", options.sort, "\""), 2);
    const control::InterruptGuard guard;
    auto client = control::Client::connect(options.endpoint, options.keys);
    if (!client) return fail(client.error().text);
    const auto known = ask(*client, "globaloptions", Json::object(), options.timeout);
    if (!known) return control::complain_of(known.error(), options.endpoint, options.timeout);
    const Json& endpoint = control::field(control::field(*known, "options"), "stats_endpoint");
    if (!endpoint.is_string()) return fail(cat("circusd at ", options.endpoint, " has no stats_endpoint"));
    const std::string where = control::reachable(endpoint.get<std::string>(), options.endpoint);
    if (control::is_out_of_reach(where, options.endpoint))
        return fail(cat("the figures of circusd at ", options.endpoint,
                        " stay on its machine; ssh -t HOST circus-top shows them there"));
    auto stats = control::Subscriber::connect(where, {"stat."});
    if (!stats) return fail(stats.error().text);

    const Choice choice{*by, options.filter};
    if (options.once || options.json) return Printer(options, choice, *client, *stats).run(where);
    Live live(options, choice, *stats, nothing_came(where, 5));
    const Status ended = live.run();
    return ended ? 0 : fail(ended.error().text, 2);
}

}  // namespace circus::top
