// Stacks: the circusds that the console shows, each with what was put together of it and its last events. The
// first is the one that the console is a plugin of; its name is empty. On the console's thread.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include <circus/plugin.hpp>

#include "backend.hpp"
#include "feed.hpp"
#include "overview.hpp"

namespace console {

struct Stack {
    Stack(std::string name_, std::string endpoint_, Backend& backend_)
        : name(std::move(name_)), endpoint(std::move(endpoint_)), backend(backend_) {
        if (!name.empty()) problem = "not connected yet";  // until its link has said something
    }
    static constexpr std::size_t kKeptEvents = 1000;

    const std::string name;      // empty: the console's own circusd
    const std::string endpoint;  // empty, likewise
    Backend& backend;
    Overview overview{backend};
    Feed feed{kKeptEvents};
    std::string problem;      // why it cannot be asked; empty: it can
    bool is_looking = false;  // an overview for those who watch is under way
};

class Stacks {
  public:
    explicit Stacks(Backend& own) { stacks_.emplace_back("", "", own); }
    void add(const std::string& name, const std::string& endpoint, Backend& backend) {
        stacks_.emplace_back(name, endpoint, backend);
    }
    Stack& own() { return stacks_.front(); }
    Stack& at(std::size_t place) { return stacks_.at(place); }
    Stack* find(std::string_view name);  // null: there is none; never the own one
    std::deque<Stack>& all() { return stacks_; }
    // [{"name", "endpoint", "problem"}, …]
    circus::Json list() const;

  private:
    std::deque<Stack> stacks_;  // which do not move
};

}  // namespace console
