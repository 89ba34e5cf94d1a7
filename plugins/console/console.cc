// console: circusd over HTTP. This file is the plugin's side on circusd's loop, and it is small on purpose:
// answers and events are handed on as they come, and everything else is done by Server, on a thread of its
// own.
#include <memory>
#include <string>
#include <utility>

#include <circus/plugin.hpp>

#include "server.hpp"
#include "settings.hpp"

namespace console {

namespace {

constexpr const char* kOptions = R"({
    "listen": {"type": "string", "default": "127.0.0.1:8080", "doc": "ADDRESS:PORT; port 0: any free one"},
    "token": {"type": "string", "doc": "who shows it may operate; 16 characters at least"},
    "read_token": {"type": "string", "doc": "who shows it may look; 16 characters at least"},
    "users": {"type": "table", "default": {}, "doc": "NAME = \"HASH\", or { password = \"HASH\", role = \"read\" }"},
    "read_only": {"type": "boolean", "default": false, "doc": "nobody may change anything here"},
    "allow_add": {"type": "boolean", "default": false, "doc": "who may operate has circusd's role admin: may say what runs, end it all, see secrets"},
    "hosts": {"type": "strings", "default": [], "doc": "further names by which browsers know this console, without a port"},
    "endpoints": {"type": "table", "default": {}, "doc": "further circusds: NAME = \"ENDPOINT\", or { endpoint, pubsub_endpoint, curve }"},
    "interval": {"type": "number", "default": 1.0, "min": 0.1, "max": 3600, "doc": "seconds between two overviews"},
    "session_hours": {"type": "number", "default": 12, "min": 0.01, "max": 8760, "doc": "how long a login lasts"}
})";

class Console final : public circus::Plugin {
  public:
    using Plugin::Plugin;
    ~Console() override {
        // Those whose answers never came: the host has dropped them.
        for (const auto& each : asked_) delete each.second;
    }
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    void start() override {
        const Settings settings = Settings::parse(config());
        server_ = std::make_unique<Server>(settings, calls());
        events_ = on("*", [this](std::string_view topic, const circus::Json& payload) {
            server_->event(std::string(topic), circus::detail::dump(payload));
        });
        recall();
        server_->start();
        say_where(settings);
    }

    void stop() override {
        if (server_) server_->stop();
    }

  private:
    struct Asked {
        Console* console;
        std::uint64_t number;
    };

    // What the server's thread calls.
    Server::Calls calls() {
        const auto ask_soon = [this](std::uint64_t number, std::string command, std::string properties) {
            try {
                post([this, number, command = std::move(command), properties = std::move(properties)] {
                    ask(number, command, properties);
                });
            } catch (const circus::Failure& refused) {
                server_->answer(number, refused.status(), "{}");
            }
        };
        const auto keep_soon = [this](circus::Json kept) {
            try {
                post([this, kept = std::move(kept)] { keep(kept); });
            } catch (const circus::Failure&) {
                // It is being stopped: there is no instance after this one that would take it.
            }
        };
        return {ask_soon, [this](circus_level level, const std::string& line) { host().log(level, line); },
                keep_soon};
    }

    // Who is logged in stays so when another arbiter takes over; where that cannot be, he logs in again.
    void recall() {
        circus::Json kept;
        try {
            if (host().extension<circus_ext_state>(CIRCUS_EXT_STATE))
                kept = host().kept().value_or(circus::Json());
            server_->recall(kept);
        } catch (const std::exception& wrong) {
            host().warning(std::string("console: what was kept is ignored: ") + wrong.what());
        }
    }

    void keep(const circus::Json& kept) {
        if (host().extension<circus_ext_state>(CIRCUS_EXT_STATE)) host().keep(kept);
    }

    void say_where(const Settings& settings) const {
        host().info("console at " + server_->url());
        if (!settings.asks_who() && !settings.read_only)
            host().info(
                "console: every user of this machine may operate here; a token or users in its section "
                "closes it");
        if (!settings.asks_who() && !settings.read_only && settings.allow_add)
            host().warning(
                "console: with allow_add every user of this machine may say what circusd runs, and so do "
                "what "
                "it may");
        if (!settings.is_loopback)
            host().warning(
                "console: " + settings.host +
                " can be reached from other machines, and passwords go over HTTP in the clear: put a "
                "proxy that speaks TLS in front");
    }

    // call() of the SDK would parse the answer, on the loop; the text is all that is needed here.
    void ask(std::uint64_t number, const std::string& command, const std::string& properties) {
        auto asked = std::make_unique<Asked>(Asked{this, number});
        const auto answered = [](void* user, circus_status status, circus_str json) {
            const std::unique_ptr<Asked> mine(static_cast<Asked*>(user));
            Console& self = *mine->console;
            self.asked_.erase(mine->number);
            circus::guard_task(self.host().raw(), [&] {
                self.server_->answer(mine->number, status, std::string(circus::detail::from_abi(json)));
            });
        };
        const circus_host* const raw = host().raw();
        const circus_status status = raw->call(raw, circus::detail::to_abi(command),
                                               circus::detail::to_abi(properties), answered, asked.get());
        if (status == CIRCUS_OK)
            asked_.emplace(number, asked.release());
        else
            server_->answer(number, status, "{}");
    }

    std::unique_ptr<Server> server_;
    std::map<std::uint64_t, Asked*> asked_;
    circus::Registration events_;
};

}  // namespace

}  // namespace console

CIRCUS_PLUGIN(console::Console, "console", "1.0", "circusd in a browser, and over HTTP", console::kOptions)
