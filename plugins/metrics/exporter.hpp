// Exporter: the plugin's thread. It serves the page, and has it made anew when somebody wants it and the last
// one is a second old: whoever comes meanwhile gets that one, so that circusd is asked once a second at the
// most, and not at all while nobody scrapes.
//
//   Fresh -> (a second) -> Stale -> somebody scrapes -> Asked -> deliver() or refuse() -> Fresh, or Stale
//
// What circusd has not answered within 5 s is a 503 for those who wait; the answer is used all the same when
// it comes. The thread takes no signal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <circus/plugin.hpp>

#include "http_server.hpp"
#include "page.hpp"
#include "settings.hpp"

namespace metrics {

class Exporter {
  public:
    // Called on the thread, until stop() has returned.
    struct Calls {
        // A sample is wanted: deliver() or refuse() follows. False: circusd takes nothing any more.
        std::function<bool()> ask;
        std::function<void(circus_level, const std::string&)> log;
    };
    // The answers of circusd, each as it came.
    struct Texts {
        std::string figures, sockets, plugins, gauges;
    };

    // Binds; throws circus::Failure with the address and the reason.
    Exporter(const Settings& settings, Calls calls);
    ~Exporter();
    Exporter(const Exporter&) = delete;
    Exporter& operator=(const Exporter&) = delete;

    void start();
    // Ends all connections and joins the thread. Who waits for scrape() is refused, from inside.
    void stop();
    std::string url() const;  // empty: it listens nowhere

    // From any thread.
    void deliver(Texts texts);
    void refuse(std::string why);
    void scrape(std::string accept, OnScraped done);  // `done` is called on the exporter's thread

  private:
    class Impl;
    const std::unique_ptr<Impl> impl_;
};

}  // namespace metrics
