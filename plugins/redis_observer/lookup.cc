#include "lookup.hpp"

#include <arpa/inet.h>
#include <array>
#include <mutex>
#include <netdb.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <utility>

namespace redis_observer {

struct Lookup::Shared {
    std::mutex mutex;
    Post post;  // empty: forgotten
    Done done;
    bool ended = false;
};

namespace {

Lookup::Found look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    Lookup::Found found;
    if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &first); error != 0) {
        found.error = gai_strerror(error);
        return found;
    }
    for (const addrinfo* each = first; each; each = each->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), static_cast<socklen_t>(text.size()),
                          nullptr, 0, NI_NUMERICHOST) == 0)
            found.addresses.emplace_back(text.data());
    }
    ::freeaddrinfo(first);
    if (found.addresses.empty()) found.error = "no address";
    return found;
}

}  // namespace

Lookup::Lookup(Post post) : post_(std::move(post)) {}
Lookup::~Lookup() {
    forget();
}

bool Lookup::is_numeric(const std::string& host) {
    in6_addr space{};
    return inet_pton(AF_INET, host.c_str(), &space) == 1 || inet_pton(AF_INET6, host.c_str(), &space) == 1;
}

bool Lookup::begin(const std::string& host, Done done) {
    forget();
    const auto shared = std::make_shared<Shared>();
    shared->post = post_;
    shared->done = std::move(done);
    try {
        std::thread([shared, host] {
            Found found = look_up(host);
            const std::lock_guard lock(shared->mutex);
            shared->ended = true;
            if (!shared->post) return;
            // The post may meet a forget() on its way: it asks again.
            shared->post([shared, found = std::move(found)]() mutable {
                Done then;
                {
                    const std::lock_guard again(shared->mutex);
                    if (shared->post) then = std::exchange(shared->done, {});
                }
                if (then) then(std::move(found));
            });
        }).detach();
    } catch (const std::system_error&) {
        return false;
    }
    current_ = shared;
    return true;
}

void Lookup::forget() {
    if (!current_) return;
    const std::lock_guard lock(current_->mutex);
    current_->post = {};
    current_->done = {};
}

bool Lookup::is_busy() const {
    if (!current_) return false;
    const std::lock_guard lock(current_->mutex);
    return !current_->ended;
}

}  // namespace redis_observer
