// Sessions: who has logged in. In memory only: a restart of the plugin ends them all. The oldest gives way
// when there are too many.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "settings.hpp"
#include "throttle.hpp"

namespace console {

struct Session {
    std::string user;
    Role role = Role::None;
    std::string csrf;  // what a write has to bring along
    Time ends{};
};

class Sessions {
  public:
    explicit Sessions(std::chrono::seconds lifetime) : lifetime_(lifetime) {}
    // The new one's id, which is the cookie's value.
    std::string open(const std::string& user, Role role, Time now);
    const Session* find(std::string_view id, Time now);  // null: none, or it is over
    void close(std::string_view id);

  private:
    std::chrono::seconds lifetime_;
    std::map<std::string, Session, std::less<>> sessions_;
};

}  // namespace console
