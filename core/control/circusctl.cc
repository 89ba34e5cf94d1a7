#include "control/circusctl.hpp"

#include <cerrno>
#include <cstdio>
#include <functional>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/asking.hpp"
#include "control/client.hpp"
#include "control/completion_script.hpp"
#include "control/convert_command.hpp"
#include "control/interrupt.hpp"
#include "control/keygen.hpp"
#include "control/listen.hpp"
#include "control/logs_command.hpp"
#include "control/new_plugin.hpp"
#include "control/offer.hpp"
#include "control/output.hpp"
#include "control/publisher.hpp"
#include "control/python_text.hpp"
#include "control/ssh.hpp"
#include "control/table.hpp"

namespace circus::control {

namespace {

using Renderer = std::function<std::string(const Json& answer, const Look& look)>;

int code(Exit exit) {
    return static_cast<int>(exit);
}

Look look_at(const Invocation& invocation, int fd) {
    return look_of(invocation.colour, surroundings_of(fd));
}

bool is_refused(const Json& answer) {
    return field(answer, "status") == "error";
}

int complain_of_refusal(const Invocation& invocation, const Json& answer) {
    const Json& reason = field(answer, "reason");
    return complain(cat(coloured("error:", Colour::Red, look_at(invocation, STDERR_FILENO)), " ",
                        reason.is_null() ? std::string("unknown") : str(reason)),
                    Exit::Refused);
}

int show(const Invocation& invocation, const std::string& text, const Renderer& render) {
    const Json answer = Json::parse(text, nullptr, false);
    const int exit = code(is_refused(answer) ? Exit::Refused : Exit::Ok);
    if (invocation.prettify) {
        say(answer.dump(4, ' ', false, Json::error_handler_t::replace));
    } else if (invocation.json) {
        say(text);
    } else if (exit != 0) {
        return complain_of_refusal(invocation, answer);
    } else {
        const std::string shown = render(answer, look_at(invocation, STDOUT_FILENO));
        if (!shown.empty() || !invocation.command || !invocation.command->prints_lines) say(shown);
    }
    return exit;
}

// The daemon of an invocation, and one question to it.
class Daemon {
  public:
    explicit Daemon(const Invocation& invocation)
        : invocation_(invocation), endpoint_(endpoint_of(invocation)) {}

    Result<std::string> call(const std::string& command, const Json& properties) {
        const auto keys = keys_of(invocation_);
        if (!keys) return keys.error();
        auto client = Client::connect(endpoint_, *keys);
        if (!client) return client.error();
        return client->call(command, properties, from_seconds(invocation_.timeout));
    }
    int complain_of(const Error& error) const {
        return control::complain_of(error, endpoint_, invocation_.timeout);
    }
    const std::string& endpoint() const { return endpoint_; }

  private:
    const Invocation& invocation_;
    std::string endpoint_;
};

int listen(const Invocation& invocation, const Json& properties) {
    const InterruptGuard guard;
    Daemon daemon(invocation);
    std::vector<std::string> topics;
    for (const auto& topic : field(properties, "topics")) topics.push_back(str(topic));
    const auto keys = keys_of(invocation);
    if (!keys) return daemon.complain_of(keys.error());
    if (publishes(daemon.endpoint(), from_seconds(invocation.timeout), *keys))
        return print_events(daemon.endpoint(), topics, *keys);
    const auto text = daemon.call("globaloptions", Json::object());
    if (!text) return daemon.complain_of(text.error());
    const Json answer = Json::parse(*text, nullptr, false);
    if (is_refused(answer)) return complain_of_refusal(invocation, answer);
    const Json& where = field(field(answer, "options"), "pubsub_endpoint");
    if (!where.is_string())
        return complain(cat("circusctl: circusd at ", daemon.endpoint(), " has no pubsub_endpoint"),
                        Exit::Failed);
    const std::string events = reachable(where.get<std::string>(), daemon.endpoint());
    if (is_out_of_reach(events, daemon.endpoint()))
        return complain(
            cat("circusctl: the events of circusd at ", daemon.endpoint(), " stay on its machine (", events,
                "); --ssh HOST listens there, or give it a pubsub_endpoint that can be reached"),
            Exit::Failed);
    return print_events(events, topics, *keys);
}

// Its usual ends, Ctrl-C and a reader that has gone, are no errors.
int follow(const Invocation& invocation, const Json& properties, const Renderer& render) {
    const InterruptGuard guard;
    Daemon daemon(invocation);
    const auto keys = keys_of(invocation);
    if (!keys) return daemon.complain_of(keys.error());
    auto client = Client::connect(daemon.endpoint(), *keys);
    if (!client) return complain(cat("circusctl: ", client.error().text), Exit::Failed);
    const auto text = follow_logs(
        *client, properties, from_seconds(invocation.timeout), [&](const auto& answer, long long skipped) {
            if (skipped > 0 && !invocation.json)
                complain(cat("circusctl: ", skipped, " lines were not kept long enough"), Exit::Ok);
            show(invocation, answer, render);
            std::fflush(stdout);
        });
    if (text) return show(invocation, *text, render);
    const bool ended = text.error().code == EINTR || text.error().code == EPIPE;
    return ended ? code(Exit::Ok) : daemon.complain_of(text.error());
}

int print_completion(const Json& properties) {
    const auto script = completion_script(properties.value("shell", ""));
    if (!script) return complain(cat("circusctl: ", script.error().text), Exit::Usage);
    print(*script);
    return code(Exit::Ok);
}

int call(const Invocation& invocation) {
    const Command& command = *invocation.command;
    const auto properties = properties_of(invocation);
    if (!properties) return complain(properties.error());
    if (command.name == "convert") return run_convert(*properties);
    if (command.name == "keygen") return run_keygen(*properties);
    if (command.name == "plugin new") return run_new_plugin(*properties);
    if (command.name == "completion") return print_completion(*properties);
    if (command.name == "listen") return listen(invocation, *properties);
    if (command.name == "complete") {
        print(completion_text(properties->value("line", ""), quick_ask(invocation)));
        return code(Exit::Ok);
    }
    const Renderer render = [&](const Json& answer, const Look& look) {
        const bool in_columns = look.table && command.table != nullptr;
        return in_columns ? command.table(answer, *properties, look) : command.render(answer, *properties);
    };
    if (properties->value("follow", false)) return follow(invocation, *properties, render);
    Daemon daemon(invocation);
    const auto text = daemon.call(std::string(command.name), *properties);
    return text ? show(invocation, *text, render) : daemon.complain_of(text.error());
}

// A word that no table has may be a command of one of the daemon's plugins: the daemon knows.
Result<Offer> find_offer(const Invocation& invocation) {
    const std::string& name = invocation.offered;
    Daemon daemon(invocation);
    constexpr const char* kSilence = "plugins may have more commands, but circusd does not answer";
    if (nobody_is_there(daemon.endpoint())) return unknown_command(name, kSilence);
    const auto text = daemon.call(kOffersCommand, Json::object());
    if (!text) return unknown_command(name, text.error().code == ETIMEDOUT ? kSilence : text.error().text);
    for (auto& offer : offers_in(Json::parse(*text, nullptr, false)))
        if (equals_ignoring_case(offer.name, name)) return std::move(offer);
    return unknown_command(name);
}

int call_offered(const Invocation& invocation) {
    const auto offer = find_offer(invocation);
    if (!offer) return complain(offer.error());
    const auto properties = properties_of(*offer, invocation);
    if (!properties) return complain(properties.error());
    Daemon daemon(invocation);
    const auto text = daemon.call(offer->name, *properties);
    if (!text) return daemon.complain_of(text.error());
    return show(invocation, *text, [](const Json& answer, const Look&) { return render_offered(answer); });
}

int help(const Invocation& invocation) {
    if (invocation.offered.empty()) {
        print(invocation.command ? help_text(*invocation.command) : overview());
        return code(Exit::Ok);
    }
    const auto offer = find_offer(invocation);
    if (!offer) return complain(offer.error());
    print(help_text(*offer));
    return code(Exit::Ok);
}

int run(const Invocation& invocation) {
    switch (invocation.what) {
        case Invocation::What::Version:
            say("circusctl " CIRCUSD_VERSION);
            return code(Exit::Ok);
        case Invocation::What::Help:
            return help(invocation);
        case Invocation::What::Offered:
            return call_offered(invocation);
        case Invocation::What::Call:
            return call(invocation);
        case Invocation::What::Nothing:
            break;
    }
    return code(Exit::Ok);
}

}  // namespace

int run_circusctl(const std::vector<std::string>& arguments, Shell shell) {
    const auto invocation = parse_command_line(arguments);
    if (!invocation) return complain(invocation.error());
    const bool informs =
        invocation->what == Invocation::What::Help || invocation->what == Invocation::What::Version;
    if (!invocation->ssh.empty() && !informs) return run_by_ssh(*invocation);
    return finish(invocation->what == Invocation::What::Nothing ? shell(*invocation) : run(*invocation));
}

int run_command(const std::vector<std::string>& words, const Invocation& own) {
    const auto invocation = parse_command_line(words, own);
    if (!invocation) return complain(invocation.error());
    if (!invocation->ssh.empty())
        return complain("circusctl: --ssh is for the whole of it: circusctl --ssh HOST", Exit::Usage);
    return finish(run(*invocation));
}

}  // namespace circus::control
