// A plugin in C++: counts deaths, says so in the log, and answers a command with the count.
#include <string>

#include <circus/plugin.hpp>

namespace {

constexpr const char* kOptions = R"({
    "watchers": {"type": "string", "default": "*", "doc": "whose deaths count: a glob"},
    "greeting": {"type": "string", "default": "farewell", "doc": "what is said"}
})";

class Greeter final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_COMMANDS, nullptr};
    using Plugin::Plugin;

    void start() override {
        const auto watchers = config().at("watchers").get<std::string>();
        deaths_ = on("watcher." + watchers + ".reap", [this](std::string_view, const circus::Json& event) {
            ++count_;
            host().info(config().at("greeting").get<std::string>() + ", " + event.at("process_pid").dump());
        });
        command_ = command("counted",
                           [this](const circus::Json&, circus::Deferred) {
                               return circus::Json{{"deaths", count_}};
                           },
                           {{"summary", "how many processes ended"}});
    }

  private:
    int count_ = 0;
    circus::Registration deaths_, command_;
};

}  // namespace

CIRCUS_PLUGIN(Greeter, "greeter", "1.0", "counts the dead", kOptions)
