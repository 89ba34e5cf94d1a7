// HttpServer: the address of the plugin's own. Answers GET /metrics by what `scrape` gives, and nothing else.
// All on the thread that runs its io_context.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "settings.hpp"

namespace metrics {

struct Scraped {
    int status = 200;
    std::string type;
    std::string body;
};
using OnScraped = std::function<void(Scraped)>;
// A scraper's header Accept, and where the answer goes: once, now or later.
using Scrape = std::function<void(const std::string& accept, OnScraped done)>;

class HttpServer {
  public:
    // Binds and listens; throws circus::Failure with the address and the reason.
    HttpServer(boost::asio::io_context& context, const Settings& settings, Scrape scrape);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    void start();
    std::string url() const;

    class Impl;

  private:
    const std::shared_ptr<Impl> impl_;  // shared with its connections
};

}  // namespace metrics
