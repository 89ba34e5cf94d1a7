// The blocking clients of circusctl: a DEALER that asks one question at a time, and a SUB. Each owns its ZMQ
// context. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace circus::control {

// Of a tcp endpoint that wants CURVE, each as Z85.
struct ClientKeys {
    std::string public_key, secret_key, server_key;
};
using MaybeKeys = std::optional<ClientKeys>;

class Client {
  public:
    // Connecting happens behind the scenes: a daemon that is about to start is waited for by call().
    static Result<Client> connect(const std::string& endpoint, const MaybeKeys& keys = {});
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    // The answer's text, byte for byte. An error with the code ETIMEDOUT: none came in time; EBADMSG: it is
    // not JSON; EACCES: there is none without another key; EINTR: interrupt.hpp. Answers to other requests (a
    // call that timed out before) are passed over.
    Result<std::string> call(const std::string& command, const Json& properties, Duration timeout);

  private:
    struct State;
    explicit Client(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

class Subscriber {
  public:
    // Empty `topics`: everything.
    static Result<Subscriber> connect(const std::string& endpoint, const std::vector<std::string>& topics,
                                      const MaybeKeys& keys = {});
    Subscriber(Subscriber&&) noexcept;
    Subscriber& operator=(Subscriber&&) noexcept;
    ~Subscriber();

    struct Event {
        std::string topic;
        std::string payload;
    };
    // Waits as long as it takes, or until whoever reads from `output` has gone: an error with the code EPIPE.
    // EINTR: interrupt.hpp.
    Result<Event> next(int output);
    // What has come. Where that is nothing: waits for it, but not longer than `patience`, and not once one of
    // the descriptors (-1: none) is readable. EINTR: interrupt.hpp.
    Result<std::vector<Event>> take(Duration patience, int also = -1, int also_that = -1);

  private:
    struct State;
    explicit Subscriber(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace circus::control
