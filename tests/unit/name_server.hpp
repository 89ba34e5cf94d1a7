// A name server for tests of plugins that look up names: getaddrinfo() of this program, which the libraries
// call as well. "slow.test" is answered when the test says so, "web.test" is loopback; everything else goes
// to the C library.
#pragma once

#include <arpa/inet.h>
#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>

namespace circus {

struct NameServer {
    std::mutex mutex;
    std::condition_variable changed;
    bool answers = false;
    int waiting = 0;

    static NameServer& get() {
        // Never destroyed: a thread may wait in it at the end of the program.
        static auto* const one = new NameServer;
        return *one;
    }
    void wait() {
        std::unique_lock lock(mutex);
        ++waiting;
        changed.wait(lock, [this] { return answers; });
        --waiting;
        changed.notify_all();
    }
    // Who waits goes on, and is waited for: no thread is left behind.
    void let_go() {
        std::unique_lock lock(mutex);
        answers = true;
        changed.notify_all();
        changed.wait(lock, [this] { return waiting == 0; });
        answers = false;
    }
    int count() {
        const std::lock_guard lock(mutex);
        return waiting;
    }
};

}  // namespace circus

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* name, const char* service,
                                                                  const addrinfo* hints, addrinfo** found) {
    using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    if (name && std::strcmp(name, "slow.test") == 0) {
        circus::NameServer::get().wait();
        return EAI_AGAIN;
    }
    if (name && std::strcmp(name, "web.test") == 0) return real("127.0.0.1", service, hints, found);
    return real(name, service, hints, found);
}
