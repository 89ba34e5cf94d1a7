// What the console's own code needs of the rest: a circusd, and a place where passwords are checked. The
// product's are Server's; unit tests have their own. On the console's thread; nothing is called back from
// inside a call.
#pragma once

#include <functional>
#include <string>

#include <circus/plugin.hpp>

#include "secrets.hpp"

namespace console {

struct Answer {
    circus_status status = CIRCUS_OK;
    circus::Json fields;  // the whole answer of circusd, as a client gets it
    bool ok() const { return status == CIRCUS_OK; }
};
using Answered = std::function<void(const Answer&)>;
// A line of the log.
using Note = std::function<void(const std::string&)>;

class Backend {
  public:
    virtual ~Backend() = default;
    // A command as a client sends it. Answered once, or never when the console stops.
    virtual void command(const std::string& name, const circus::Json& properties, Answered answered) = 0;
};

class Passwords {
  public:
    virtual ~Passwords() = default;
    // False: too many wait already, and nothing is answered.
    virtual bool check_password(const PasswordHash& hash, const std::string& password,
                                std::function<void(bool)> done) = 0;
};

}  // namespace console
