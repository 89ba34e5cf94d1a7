// Gauges: named numbers of watchers (or of any other word), with who set them and how long ago. Pushed by
// plugins and clients, read by whoever decides by them. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"

namespace circus::plugin {

class Gauges {
  public:
    struct Value {
        double value = 0;
        TimePoint set{};
        std::string by;
        std::uint64_t version = 0;  // grows with each set()
    };
    void set(const std::string& watcher, const std::string& name, double value, const std::string& by);
    std::optional<Value> get(const std::string& watcher, const std::string& name) const;
    struct Change {
        std::string watcher, name;
        Value value;
    };
    // What was set since `seen`, which is moved on; 0: all.
    std::vector<Change> changed_since(std::uint64_t& seen) const;
    // {name: {"value", "age", "by"}} of a watcher; `name` empty: all of them.
    Json show(const std::string& watcher, const std::string& name) const;

  private:
    mutable std::mutex mutex_;
    std::uint64_t version_ = 0;
    std::map<std::pair<std::string, std::string>, Value> values_;  // by the watcher's name in lower case
};

}  // namespace circus::plugin
