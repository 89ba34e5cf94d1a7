// Lookup: the addresses of a host, looked up on a thread, because the C library waits for name servers.
//
// begin() starts one thread, which posts its answer to the loop; there is one at a time. A thread that nobody
// waits for any more (forget(), or the end of the Lookup) ends by itself when the C library lets it go, and
// posts nothing: after forget() has returned it calls nobody. Its code has to stay in memory, see the
// plugin's CMakeLists.txt.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace redis_observer {

class Lookup {
  public:
    struct Found {
        std::vector<std::string> addresses;  // numeric
        std::string error;                   // when there are none
    };
    using Done = std::function<void(Found)>;
    using Post = std::function<void(std::function<void()>)>;  // from any thread

    explicit Lookup(Post post);
    ~Lookup();
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    static bool is_numeric(const std::string& host);

    // `done` is called on the loop, later. False: no thread could be started.
    bool begin(const std::string& host, Done done);
    // An answer that is under way never comes.
    void forget();
    // The thread of a lookup is at work still, also of a forgotten one.
    bool is_busy() const;

  private:
    struct Shared;
    Post post_;
    std::shared_ptr<Shared> current_;
};

}  // namespace redis_observer
