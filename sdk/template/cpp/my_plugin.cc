// my_plugin: counts the processes that end, and answers the command `my_plugin` with the count.
#include <string>
#include <string_view>

#include <circus/plugin.hpp>

namespace {

constexpr const char* kOptions = R"({
    "watchers": {"type": "string", "default": "*", "doc": "whose deaths count: a glob"}
})";

class Counter final : public circus::Plugin {
  public:
    // Without these circusd does not start it, and says so.
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_COMMANDS, nullptr};
    using Plugin::Plugin;

    void start() override {
        const auto watchers = config().at("watchers").get<std::string>();
        deaths_ = on("watcher." + watchers + ".reap", [this](std::string_view topic, const circus::Json&) {
            ++count_;
            host().debug("one more: " + std::string(topic));
        });
        command_ = command("my_plugin",
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

CIRCUS_PLUGIN(Counter, "my_plugin", "0.1", "counts the processes that end", kOptions)
