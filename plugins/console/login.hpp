// Login: a token or a user's password becomes a session, whose cookie is HttpOnly and SameSite=Strict. Wrong
// ones are throttled (Throttle). On the console's thread.
#pragma once

#include <string>

#include "backend.hpp"
#include "gate.hpp"
#include "http.hpp"

namespace console {

class Login {
  public:
    // `warn`: of who was refused.
    Login(const Settings& settings, Sessions& sessions, Gate& gate, Passwords& passwords, Note warn);

    // {"user", "password"} or {"token"}.
    void log_in(const Request& request, Time now, const Respond& respond);
    Response log_out(const Visitor& visitor);
    // Who one is, and what a write has to bring.
    Response session(const Visitor& visitor) const;

  private:
    // With Role::None the name or its password was wrong.
    void checked(const Request& request, const std::string& user, Role role, Time now,
                 const Respond& respond);
    void finish(const Request& request, const std::string& user, Role role, Time now, const Respond& respond);
    std::string cookie(const Request& request, const std::string& value, long long seconds) const;

    const Settings& settings_;
    Sessions& sessions_;
    Gate& gate_;
    Passwords& passwords_;
    Note warn_;
    PasswordHash nobody_ = PasswordHash::of_nobody();
};

}  // namespace console
