#include "driver.hpp"

#include <utility>

namespace http_observer {

Driver::Driver(circus::Host host, Watch watch, After after, Done done)
    : host_(host),
      watch_(std::move(watch)),
      after_(std::move(after)),
      done_(std::move(done)),
      multi_(curl_multi_init()) {
    if (!multi_) throw circus::Failure(CIRCUS_E_NO_MEMORY, "libcurl cannot be set up");
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &Driver::on_socket);
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &Driver::on_timer);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
}

void Driver::begin(CURL* transfer) {
    // Asks for a timer of 0 ms, in which everything else happens.
    if (const CURLMcode wrong = curl_multi_add_handle(multi_.get(), transfer); wrong != CURLM_OK)
        throw circus::Failure(CIRCUS_E_INVALID, curl_multi_strerror(wrong));
}

void Driver::end(CURL* transfer) {
    curl_multi_remove_handle(multi_.get(), transfer);
}

int Driver::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
    auto& driver = *static_cast<Driver*>(self);
    // libcurl tells before it closes a descriptor, and a descriptor is registered once.
    driver.sockets_.erase(fd);
    if (what == CURL_POLL_REMOVE) return 0;
    int result = -1;
    circus::guard_task(driver.host_.raw(), [&] {
        const std::uint32_t events = ((what & CURL_POLL_IN) != 0 ? CIRCUS_FD_IN : 0u) |
                                     ((what & CURL_POLL_OUT) != 0 ? CIRCUS_FD_OUT : 0u);
        driver.sockets_[fd] = driver.watch_(fd, events, [&driver, fd](std::uint32_t ready) {
            const bool in = (ready & (CIRCUS_FD_IN | CIRCUS_FD_HUP)) != 0;
            const bool out = (ready & CIRCUS_FD_OUT) != 0;
            driver.action(fd, (in ? CURL_CSELECT_IN : 0) | (out ? CURL_CSELECT_OUT : 0));
        });
        result = 0;
    });
    return result;
}

int Driver::on_timer(CURLM*, long timeout_ms, void* self) {
    auto& driver = *static_cast<Driver*>(self);
    driver.timer_.cancel();
    if (timeout_ms < 0) return 0;
    int result = -1;
    circus::guard_task(driver.host_.raw(), [&] {
        driver.timer_ = driver.after_(std::chrono::milliseconds(timeout_ms),
                                      [&driver] { driver.action(CURL_SOCKET_TIMEOUT, 0); });
        result = 0;
    });
    return result;
}

void Driver::action(curl_socket_t fd, int events) {
    int running = 0;
    curl_multi_socket_action(multi_.get(), fd, events, &running);
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi_.get(), &left))
        if (message->msg == CURLMSG_DONE) {
            const CURLcode code = message->data.result;  // `message` does not outlive the transfer
            done_(code);
        }
}

}  // namespace http_observer
