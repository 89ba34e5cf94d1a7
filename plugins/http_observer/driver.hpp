// Driver: libcurl's multi handle on the loop. libcurl says which descriptors and which time it waits for, the
// driver registers both, and tells libcurl when one is there; the end of a transfer goes to `done`.
//
// On the loop's thread. `done` is never called from inside begin() or end(), nor from inside libcurl: it may
// end the transfer and begin another one. A failure to watch a descriptor ends the transfer with an error.
#pragma once

#include <chrono>
#include <cstdint>
#include <curl/curl.h>
#include <functional>
#include <map>
#include <memory>

#include <circus/plugin.hpp>

namespace http_observer {

class Driver {
  public:
    using Ready = std::function<void(std::uint32_t events)>;
    using Watch = std::function<circus::Registration(int fd, std::uint32_t events, Ready)>;
    using After = std::function<circus::Registration(std::chrono::milliseconds, circus::Plugin::TaskFn)>;
    using Done = std::function<void(CURLcode)>;

    Driver(circus::Host host, Watch watch, After after, Done done);
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    void begin(CURL* transfer);
    void end(CURL* transfer);  // also of one that is under way

  private:
    struct CleanUp {
        void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
    };
    static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*);
    static int on_timer(CURLM*, long timeout_ms, void* self);
    void action(curl_socket_t fd, int events);

    circus::Host host_;
    const Watch watch_;
    const After after_;
    const Done done_;
    std::map<int, circus::Registration> sockets_;
    circus::Registration timer_;
    std::unique_ptr<CURLM, CleanUp> multi_;  // the first to go: it still calls on_socket()
};

}  // namespace http_observer
