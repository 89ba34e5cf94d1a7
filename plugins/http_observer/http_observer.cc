// Gets a page every loop_rate and says whether it is as it should be, and how long it took.
//
// libcurl does the work, by Driver: connecting, TLS and reading never wait, names are looked up on a thread
// of libcurl's. Each look has a connection of its own, as a client that comes along would have. A look that
// is abandoned while its name is looked up leaves libcurl's thread behind (CURLOPT_QUICK_EXIT): it ends by
// itself and calls nobody, but libcurl has to stay in memory, which is why the plugin is linked with -z
// nodelete.
#include <array>
#include <cstdlib>
#include <curl/curl.h>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include <circus/observer.hpp>

#include "driver.hpp"
#include "expectation.hpp"

namespace {

using circus::Json;
using http_observer::Driver;
using http_observer::StatusSet;
using http_observer::TextSearch;

constexpr const char* kOptions =
    R"({
    "check_url": {"type": "string", "default": "http://localhost/", "doc": "what is asked for: http or https"},
    "timeout": {"type": "number", "default": 10, "min": 0.01, "doc": "seconds for one look, all in all"},
    "expected_status": {"type": "string", "default": "200-299",
                        "doc": "good ones, as \"200\", \"200-299\" or \"200,204\""},
    "expected_body": {"type": "string", "default": "", "doc": "a text that the body has to have"},
    "headers": {"type": "table", "default": {}, "doc": "sent with the request: NAME = \"VALUE\""},
    "follow_redirects": {"type": "boolean", "default": true, "doc": "up to five"},
    "unix_socket": {"type": "string", "doc": "connect to this path instead of the URL's host"},
    "verify": {"type": "boolean", "default": true, "doc": "https: check the certificate and its name"},
    "ca_file": {"type": "string", "doc": "https: whom to trust; not given: the system's list"},
    "client_cert": {"type": "string", "doc": "https: a certificate to show, PEM"},
    "client_key": {"type": "string", "doc": "https: its key, PEM; not given: in client_cert"},
    "restart_on_error": {"type": "string", "doc": "a watcher that is restarted when it is down"},
    )" CIRCUS_OBSERVER_OPTIONS("http_observer") "}";

struct Library {
    Library() {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            throw circus::Failure(CIRCUS_E_UNSUPPORTED, "libcurl cannot be set up");
    }
    ~Library() { curl_global_cleanup(); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
};
struct FreeTransfer {
    void operator()(CURL* transfer) const { curl_easy_cleanup(transfer); }
};
struct FreeHeaders {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeUrl {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

class HttpObserver final : public circus::Observer {
  public:
    HttpObserver(circus::Host host, Json config)
        : Observer(host, std::move(config), {"http_observer", "restart_on_error", "http_stats", true}) {}

  private:
    void prepare() override {
        library_ = std::make_unique<Library>();
        check_url();
        const auto expected = StatusSet::parse(text("expected_status"));
        if (!expected) throw wrong("expected_status", "write it as \"200\", \"200-299\" or \"200,204\"");
        expected_ = *expected;
        body_.emplace(text("expected_body"));
        transfer_.reset(curl_easy_init());
        if (!transfer_) throw circus::Failure(CIRCUS_E_NO_MEMORY, "libcurl has no memory");
        set(CURLOPT_URL, text("check_url").c_str());
        set(CURLOPT_ERRORBUFFER, error_.data());
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_QUICK_EXIT, 1L);
        set(CURLOPT_PROXY, "");  // what is asked is the server, whatever the daemon's environment says
        set(CURLOPT_FRESH_CONNECT, 1L);
        set(CURLOPT_FORBID_REUSE, 1L);
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
        set(CURLOPT_FOLLOWLOCATION, config().at("follow_redirects").get<bool>() ? 1L : 0L);
        set(CURLOPT_MAXREDIRS, 5L);
        set(CURLOPT_USERAGENT, "circusd http_observer");
        set(CURLOPT_WRITEFUNCTION, &HttpObserver::on_body);
        set(CURLOPT_WRITEDATA, this);
        set_headers();
        if (config().contains("unix_socket")) set(CURLOPT_UNIX_SOCKET_PATH, text("unix_socket").c_str());
        set_tls();
        driver_.emplace(
            host(),
            [this](int fd, std::uint32_t events, Driver::Ready ready) {
                return watch(fd, events, std::move(ready));
            },
            [this](auto delay, auto task) { return after(delay, std::move(task)); },
            [this](CURLcode code) { done(code); });
    }

    void look() override {
        body_->restart();
        error_.fill('\0');
        driver_->begin(transfer_.get());
    }
    void abandon() override { driver_->end(transfer_.get()); }
    void finish() override {
        transfer_.reset();
        driver_.reset();
    }

    std::string text(const char* option) const { return config().at(option).get<std::string>(); }

    template <class Value>
    void set(CURLoption option, Value value) {
        if (const CURLcode code = curl_easy_setopt(transfer_.get(), option, value); code != CURLE_OK)
            throw circus::Failure(CIRCUS_E_UNSUPPORTED, "libcurl, option " + std::to_string(option) + ": " +
                                                            curl_easy_strerror(code));
    }

    void check_url() const {
        const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
        if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text("check_url").c_str(), 0);
            code != CURLUE_OK)
            throw wrong("check_url", std::string(curl_url_strerror(code)) + "; write http://HOST:PORT/PATH");
        char* scheme = nullptr;
        curl_url_get(url.get(), CURLUPART_SCHEME, &scheme, 0);
        const std::string found = scheme ? scheme : "";
        curl_free(scheme);
        if (found != "http" && found != "https") throw wrong("check_url", "neither http nor https");
    }

    void set_headers() {
        for (const auto& [name, value] : config().at("headers").items()) {
            if (!value.is_string()) throw wrong("headers", name + " is no text");
            const auto line = name + ": " + value.get<std::string>();
            if (name.empty() || line.find_first_of("\r\n") != std::string::npos)
                throw wrong("headers", "a name and a value of one line are expected");
            // "NAME;" is libcurl's way to send one without a value, "NAME:" would take it away.
            const std::string& spelt = value.get_ref<const std::string&>().empty() ? name + ";" : line;
            curl_slist* const longer = curl_slist_append(headers_.get(), spelt.c_str());
            if (!longer) throw circus::Failure(CIRCUS_E_NO_MEMORY, "libcurl has no memory");
            static_cast<void>(headers_.release());
            headers_.reset(longer);
        }
        if (headers_) set(CURLOPT_HTTPHEADER, headers_.get());
    }

    void set_tls() {
        const bool verify = config().at("verify").get<bool>();
        set(CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
        set(CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
        if (config().contains("ca_file"))
            set(CURLOPT_CAINFO, readable("ca_file").c_str());
        else if (const auto* known = curl_version_info(CURLVERSION_NOW); known->capath && *known->capath)
            // The folder by hashes has the same certificates as the bundle, which is read whole:
            // milliseconds.
            set(CURLOPT_CAINFO, static_cast<const char*>(nullptr));
        if (config().contains("client_cert")) set(CURLOPT_SSLCERT, readable("client_cert").c_str());
        if (config().contains("client_key")) set(CURLOPT_SSLKEY, readable("client_key").c_str());
    }
    std::string readable(const char* option) const {
        if (::access(text(option).c_str(), R_OK) != 0) throw wrong(option, "it cannot be read");
        return text(option);
    }

    static std::size_t on_body(const char* data, std::size_t size, std::size_t count, void* self) {
        auto& observer = *static_cast<HttpObserver*>(self);
        std::size_t taken = 0;  // not all of it: libcurl ends the transfer
        circus::guard_task(observer.host().raw(), [&] {
            observer.body_->read({data, size * count});
            taken = size * count;
        });
        return taken;
    }

    void done(CURLcode code) {
        long status = 0;
        curl_off_t microseconds = 0;
        curl_easy_getinfo(transfer_.get(), CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(transfer_.get(), CURLINFO_TOTAL_TIME_T, &microseconds);
        driver_->end(transfer_.get());
        Json details{{"url", text("check_url")}};
        if (code != CURLE_OK)
            return bad(error_[0] != '\0' ? error_.data() : curl_easy_strerror(code), details);
        details["status"] = status;
        if (!expected_.contains(status))
            return bad("status " + std::to_string(status) + ", expected " + text("expected_status"), details);
        if (!body_->is_found()) return bad("the body does not have \"" + body_->text() + "\"", details);
        good(std::chrono::microseconds(microseconds), details);
    }

    std::unique_ptr<Library> library_;
    StatusSet expected_;
    std::optional<TextSearch> body_;
    std::array<char, CURL_ERROR_SIZE> error_{};
    std::unique_ptr<curl_slist, FreeHeaders> headers_;
    std::optional<Driver> driver_;
    std::unique_ptr<CURL, FreeTransfer> transfer_;
};

}  // namespace

CIRCUS_PLUGIN(HttpObserver, "http_observer", "1.0", "asks for a page and says whether it is as it should be",
              kOptions)
