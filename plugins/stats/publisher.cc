#include "publisher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include <zmq.h>

#include <circus/threads.hpp>

namespace stats {

namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr int kQueued = 20'000;  // messages, of one subscriber: some rounds of a stack of thousands

circus::Failure failure(const std::string& endpoint, const std::string& why) {
    return {CIRCUS_E_CONFLICT, "stats_endpoint " + endpoint + ": " + why};
}

std::string words_of(int error) {
    return std::error_code(error, std::generic_category()).message();
}

// What is made meanwhile is born with its mode. The umask is the whole process's.
class Umask {
  public:
    explicit Umask(mode_t mask) : before_(::umask(mask)) {}
    ~Umask() { ::umask(before_); }
    Umask(const Umask&) = delete;
    Umask& operator=(const Umask&) = delete;

  private:
    const mode_t before_;
};

// What is missing is its owner's alone. What is there already is somebody's choice and stays as it is, but
// nobody else may be able to put a socket of his own in the place of ours.
void make_folder(const std::string& endpoint, const std::string& file) {
    const auto parent = std::filesystem::path(file).parent_path();
    const std::filesystem::path folder = parent.empty() ? "." : parent;
    {
        const Umask guard(S_IRWXG | S_IRWXO);
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (error) throw failure(endpoint, "cannot make its folder: " + error.message());
    }
    struct stat found {};
    if (::stat(folder.c_str(), &found) != 0) throw failure(endpoint, words_of(errno));
    if (::geteuid() != 0 && found.st_uid != 0 && found.st_uid != ::geteuid())
        throw failure(endpoint, "the directory " + folder.string() + " belongs to another user");
    if ((found.st_mode & S_IWOTH) != 0 && (found.st_mode & S_ISVTX) == 0)
        throw failure(endpoint, "everybody may write to the directory " + folder.string() + "; chmod o-w it");
}

}  // namespace

class Publisher::Impl {
  public:
    Impl(const std::string& endpoint, Calls calls)
        : endpoint_(endpoint),
          calls_(std::move(calls)),
          context_(zmq_ctx_new()),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (!context_) throw failure(endpoint, "no ZeroMQ context");
        try {
            if (wake_ < 0) throw failure(endpoint, words_of(errno));
            bind();
            start();
        } catch (...) {
            close();
            throw;
        }
    }
    ~Impl() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        ::eventfd_write(wake_, 1);
        thread_.join();
        close();
        if (!file().empty()) ::unlink(file().c_str());
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void publish(Round round) {
        {
            const std::lock_guard lock(mutex_);
            round_ = std::move(round);
        }
        ::eventfd_write(wake_, 1);
    }

  private:
    std::string file() const {  // of an ipc endpoint; empty: it has none
        const bool is_file = endpoint_.starts_with(kIpc) && !endpoint_.substr(kIpc.size()).starts_with('@');
        return is_file ? endpoint_.substr(kIpc.size()) : std::string();
    }

    void bind() {
        if (!file().empty()) make_folder(endpoint_, file());
        socket_ = zmq_socket(context_, ZMQ_XPUB);
        if (!socket_) throw failure(endpoint_, zmq_strerror(errno));
        const int no_linger = 0;
        zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof no_linger);
        zmq_setsockopt(socket_, ZMQ_SNDHWM, &kQueued, sizeof kQueued);
        const Umask guard(S_IXUSR | S_IRWXG | S_IRWXO);
        if (zmq_bind(socket_, endpoint_.c_str()) != 0) throw failure(endpoint_, zmq_strerror(errno));
    }

    void start() {
        const circus::SignalsBlocked guard;
        thread_ = std::thread([this] { run(); });
    }

    void close() {
        if (socket_) zmq_close(socket_);
        socket_ = nullptr;
        if (context_) zmq_ctx_term(context_);
        context_ = nullptr;
        if (wake_ >= 0) ::close(wake_);
        wake_ = -1;
    }

    // ---- on the thread, whose the socket is from now on ----

    void run() {
        while (true) {
            std::array<zmq_pollitem_t, 2> items{
                {{socket_, 0, ZMQ_POLLIN, 0}, {nullptr, wake_, ZMQ_POLLIN, 0}}};
            if (zmq_poll(items.data(), static_cast<int>(items.size()), -1) < 0 && errno != EINTR)
                return calls_.log(CIRCUS_ERROR, std::string("stats: ") + zmq_strerror(errno));
            eventfd_t count = 0;
            ::eventfd_read(wake_, &count);
            hear();
            std::optional<Round> round;
            {
                const std::lock_guard lock(mutex_);
                if (ending_) return;
                round = std::exchange(round_, std::nullopt);
            }
            if (round) make(*round);
        }
    }

    // Subscriptions are messages too: 1 or 0, and the prefix.
    void hear() {
        const bool before = !wanted_.is_empty();
        std::array<char, 256> message;
        while (true) {
            const int size = zmq_recv(socket_, message.data(), message.size(), ZMQ_DONTWAIT);
            if (size < 0) break;
            // A longer one, of which only the beginning is here, is as wide as that: it gets too much.
            const std::string_view prefix(message.data(),
                                          std::min(static_cast<std::size_t>(size), message.size()));
            if (prefix.empty()) continue;
            if (prefix.front() == 1)
                wanted_.add(prefix.substr(1));
            else if (prefix.front() == 0)
                wanted_.remove(prefix.substr(1));
        }
        if (before == wanted_.is_empty()) calls_.wanted(!before);
    }

    void make(const Round& round) {
        Frames frames;
        try {
            using circus::Json;
            if (!round.is_first) {
                add_watchers(frames, Json::parse(round.processes).at("infos"), wanted_);
                add_daemon(frames, Json::parse(round.daemon).at("info"), wanted_);
            } else {
                reads_ = {};
            }
            reads_.add_to(frames, Json::parse(round.sockets).at("sockets"));
        } catch (const std::exception& wrong) {
            calls_.log(CIRCUS_WARNING,
                       std::string("stats: circusd's answer is not understood: ") + wrong.what());
        }
        for (const Frame& frame : frames) {
            zmq_send(socket_, frame.topic.data(), frame.topic.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
            zmq_send(socket_, frame.payload.data(), frame.payload.size(), ZMQ_DONTWAIT);
        }
    }

    const std::string endpoint_;
    const Calls calls_;
    void* context_;
    void* socket_ = nullptr;
    int wake_;  // an eventfd
    Wanted wanted_;
    Reads reads_;
    std::mutex mutex_;
    std::optional<Round> round_;
    bool ending_ = false;
    std::thread thread_;
};

Publisher::Publisher(const std::string& endpoint, Calls calls)
    : impl_(std::make_unique<Impl>(endpoint, std::move(calls))) {}
Publisher::~Publisher() = default;

void Publisher::publish(Round round) {
    impl_->publish(std::move(round));
}

}  // namespace stats
