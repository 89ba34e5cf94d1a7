#include "exporter.hpp"

#include <chrono>
#include <exception>
#include <optional>
#include <prometheus/text_serializer.h>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <circus/threads.hpp>

#include "accept.hpp"
#include "openmetrics.hpp"

namespace metrics {

namespace asio = boost::asio;

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kFresh = std::chrono::seconds(1);
constexpr auto kPatience = std::chrono::seconds(5);

Scraped unavailable(const std::string& why) {
    return {503, "text/plain; charset=utf-8", why + "\n"};
}

}  // namespace

class Exporter::Impl {
  public:
    Impl(const Settings& settings, Calls calls) : calls_(std::move(calls)), deadline_(context_) {
        if (settings.listens())
            server_.emplace(context_, settings, [this](const std::string& accept, OnScraped done) {
                want(accept, std::move(done));
            });
    }
    ~Impl() { stop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void start() {
        const circus::SignalsBlocked guard;
        if (server_) server_->start();
        thread_ = std::thread([this] {
            try {
                context_.run();
            } catch (const std::exception& thrown) {
                calls_.log(CIRCUS_ERROR, std::string("metrics: ended by an error: ") + thrown.what());
            }
        });
    }
    void stop() {
        context_.stop();
        if (thread_.joinable()) thread_.join();
        refuse_all("circusd stops");
    }
    std::string url() const { return server_ ? server_->url() : std::string(); }

    template <class Task>
    void post(Task task) {
        asio::post(context_, std::move(task));
    }

    // ---- on the thread ----
    void want(const std::string& accept, OnScraped done);
    void take(const Texts& texts);
    void give_up(const std::string& why);

  private:
    struct Waiting {
        Format format;
        OnScraped done;
    };
    void ask();
    void refuse_all(const std::string& why);
    Scraped written(Format format);

    const Calls calls_;
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{asio::make_work_guard(context_)};
    asio::steady_timer deadline_;
    std::optional<HttpServer> server_;
    Page page_;
    std::vector<prometheus::MetricFamily> families_;
    std::optional<std::string> text_, open_;  // as they are asked for, of families_
    std::optional<Clock::time_point> made_;
    std::vector<Waiting> waiting_;
    bool is_asked_ = false;
    std::string last_complaint_;
    std::thread thread_;
};

void Exporter::Impl::want(const std::string& accept, OnScraped done) {
    const Format format = format_for(accept);
    if (made_ && Clock::now() - *made_ < kFresh) return done(written(format));
    waiting_.push_back({format, std::move(done)});
    if (waiting_.size() == 1) {
        deadline_.expires_after(kPatience);
        deadline_.async_wait([this](boost::system::error_code stopped) {
            if (!stopped) refuse_all("circusd has not answered within 5 s");
        });
    }
    ask();
}

void Exporter::Impl::ask() {
    if (std::exchange(is_asked_, true)) return;
    if (!calls_.ask()) give_up("circusd takes no questions: it stops");
}

void Exporter::Impl::take(const Texts& texts) {
    try {
        families_ = page_.make({circus::Json::parse(texts.figures), circus::Json::parse(texts.sockets),
                                circus::Json::parse(texts.plugins), circus::Json::parse(texts.gauges)});
    } catch (const std::exception& wrong) {
        return give_up(std::string("circusd's answer is not understood: ") + wrong.what());
    }
    is_asked_ = false;
    last_complaint_.clear();
    text_.reset();
    open_.reset();
    made_ = Clock::now();
    deadline_.cancel();
    for (const Waiting& each : std::exchange(waiting_, {})) each.done(written(each.format));
}

void Exporter::Impl::give_up(const std::string& why) {
    is_asked_ = false;
    // Once, not once a scrape.
    if (std::exchange(last_complaint_, why) != why) calls_.log(CIRCUS_WARNING, "metrics: " + why);
    refuse_all(why);
}

void Exporter::Impl::refuse_all(const std::string& why) {
    deadline_.cancel();
    for (const Waiting& each : std::exchange(waiting_, {})) each.done(unavailable(why));
}

Scraped Exporter::Impl::written(Format format) {
    std::optional<std::string>& body = format == Format::OpenMetrics ? open_ : text_;
    if (!body)
        body = format == Format::OpenMetrics ? OpenMetricsSerializer().Serialize(families_)
                                             : prometheus::TextSerializer().Serialize(families_);
    return {200, content_type(format), *body};
}

Exporter::Exporter(const Settings& settings, Calls calls)
    : impl_(std::make_unique<Impl>(settings, std::move(calls))) {}
Exporter::~Exporter() = default;
void Exporter::start() {
    impl_->start();
}
void Exporter::stop() {
    impl_->stop();
}
std::string Exporter::url() const {
    return impl_->url();
}
void Exporter::deliver(Texts texts) {
    impl_->post([impl = impl_.get(), texts = std::move(texts)] { impl->take(texts); });
}
void Exporter::refuse(std::string why) {
    impl_->post([impl = impl_.get(), why = std::move(why)] { impl->give_up(why); });
}
void Exporter::scrape(std::string accept, OnScraped done) {
    impl_->post([impl = impl_.get(), accept = std::move(accept), done = std::move(done)]() mutable {
        impl->want(accept, std::move(done));
    });
}

}  // namespace metrics
