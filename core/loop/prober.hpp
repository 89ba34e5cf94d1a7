// Prober: looks once whether somebody answers at an address: accepts a connection, and where something is to
// be asked, answers it with an HTTP status of 2xx or 3xx. One look goes
//
//   Resolving   a host's name is looked up in the worker's thread; an address is none
//   Connecting  to one address of it after the other
//   Asking      the request is sent, the first line of the answer is awaited
//
// and ends with `looked`, which is called once for each look, never from inside a call: by an answer, by what
// is in its way, or by kLookDeadline. drop() ends it without.
//
// Owned and called on the loop's thread; nothing here blocks it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "loop/loop.hpp"
#include "loop/worker.hpp"

namespace circus::loop {

struct ProbeTarget {
    std::string host;  // a name or an address; empty: a unix socket
    int port = 0;
    std::string path;     // of the unix socket
    std::string request;  // what is asked; empty: a connection is enough
};

class Prober {
  public:
    static constexpr Milliseconds kLookDeadline{5000};

    using Id = std::uint64_t;
    using Looked = std::function<void(Id, const Status&)>;
    // `names` looks hosts up; it outlives this.
    Prober(Loop& loop, Worker& names, Looked looked);
    ~Prober();
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;

    void look(Id id, ProbeTarget target);  // no look with that id is under way
    void drop(Id id);                      // also of one that is not

  private:
    class Look;
    void finish(Id id, const Status& result);

    Loop& loop_;
    Worker& names_;
    const Looked looked_;
    std::map<Id, std::shared_ptr<Look>> looks_;
};

}  // namespace circus::loop
