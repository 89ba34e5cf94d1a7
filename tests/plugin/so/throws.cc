// Throws wherever it can: nothing of it crosses the line.
#include <stdexcept>

#include <circus/plugin.hpp>

namespace {

class Throws final : public circus::Plugin {
  public:
    using Plugin::Plugin;
    void start() override {
        command_ = command("throw", [](const circus::Json&, circus::Deferred) -> circus::Answer {
            throw std::runtime_error("thrown by the command");
        });
        timer_ = after(std::chrono::milliseconds(1), [] { throw std::runtime_error("thrown by the timer"); });
        if (config().at("at_start").get<bool>()) throw std::runtime_error("thrown at the start");
    }

  private:
    circus::Registration command_, timer_;
};

}  // namespace

CIRCUS_PLUGIN(Throws, "throws", "0.1", "throws", R"({"at_start": {"type": "boolean", "default": false}})")
