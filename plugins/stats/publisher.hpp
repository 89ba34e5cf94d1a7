// Publisher: the PUB socket of the stats stream. An ipc endpoint is a socket of mode 0600 in a folder of mode
// 0700. Subscribers that do not read lose messages; sending never waits. One thread.
#pragma once

#include <string>

#include "frames.hpp"

namespace stats {

class Publisher {
  public:
    // Throws circus::Failure with the endpoint and the reason.
    explicit Publisher(const std::string& endpoint);
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    void send(const Frames& frames);
    const std::string& endpoint() const { return endpoint_; }

  private:
    void close();
    std::string file() const;  // of an ipc endpoint; empty: it has none

    std::string endpoint_;
    void* context_;
    void* socket_ = nullptr;
};

}  // namespace stats
