// Sessions: who has logged in. In memory only: a restart of the plugin ends them all, and another arbiter
// takes them over, unless who may log in has changed. The oldest gives way when there are too many.
#pragma once

#include <chrono>
#include <functional>
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
    // `changed` is called after each change, with what recall() of another instance takes.
    explicit Sessions(std::chrono::seconds lifetime, std::function<void(const circus::Json&)> changed = {})
        : lifetime_(lifetime), changed_(std::move(changed)) {}
    // `of`: a text that is another one when others may log in. What was kept of another one is forgotten.
    void recall(const circus::Json& kept, const std::string& of, Time now);
    // The new one's id, which is the cookie's value.
    std::string open(const std::string& user, Role role, Time now);
    const Session* find(std::string_view id, Time now);  // null: none, or it is over
    void close(std::string_view id);

  private:
    void tell() const;

    std::chrono::seconds lifetime_;
    std::function<void(const circus::Json&)> changed_;
    std::string of_;
    std::map<std::string, Session, std::less<>> sessions_;
};

}  // namespace console
