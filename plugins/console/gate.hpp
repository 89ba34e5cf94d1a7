// Gate: what a request is refused for before anybody looks at what it wants, and who sends it.
//
// - Host has to be an address, localhost, or one of `hosts`: a page of somebody else's whose name was made to
// mean
//   this machine (DNS rebinding) is refused.
// - Origin, where a browser sends it, has to be this console's own; so has Sec-Fetch-Site.
// - A write is JSON, and brings X-Circus-Csrf, unless it is authorised by a token in its header, which no
// browser
//   adds by itself.
//
// A token in the header that is right always lets in at once; wrong ones are written down and throttled.
//
// Where the configuration has neither tokens nor users, everybody who gets here may operate. On the console's
// thread.
#pragma once

#include <optional>
#include <string>

#include "backend.hpp"
#include "http.hpp"
#include "sessions.hpp"
#include "settings.hpp"
#include "throttle.hpp"

namespace console {

struct Visitor {
    Role role = Role::None;
    std::string user;     // empty: nobody in particular
    std::string session;  // its id; empty: none
    std::string csrf;     // what a write has to bring; empty: nothing
};

class Gate {
  public:
    // `warn`: of who was refused.
    Gate(const Settings& settings, Sessions& sessions, Note warn);

    // Of every request; nothing: it may come in.
    std::optional<Response> refuse(const Request& request) const;
    // Who it is; a response: it names a token that is wrong.
    std::optional<Response> recognise(const Request& request, Time now, Visitor& visitor);
    // Of a write, login included.
    std::optional<Response> refuse_write(const Request& request, const Visitor& visitor) const;

    // The role that a token gives.
    Role role_of_token(std::string_view token) const;
    // Of one that gives none: it is counted and written down, or there have been too many, and that is the
    // answer.
    std::optional<Response> refuse_token(const std::string& peer, Time now);
    Throttle& throttle() { return throttle_; }
    // Two consoles on one host share their cookies: each has a name of its own.
    const std::string& cookie_name() const { return cookie_; }
    void set_port(std::uint16_t port);  // the one that was bound
    const std::string& open_csrf() const { return open_csrf_; }

  private:
    bool is_own_host(std::string_view host) const;

    const Settings& settings_;
    Sessions& sessions_;
    Note warn_;
    Throttle throttle_;
    std::string cookie_;
    std::string open_csrf_;  // for writes of those who need no session
};

Response too_many_attempts(std::chrono::seconds wait);

}  // namespace console
