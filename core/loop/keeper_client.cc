// Long because every message of the wire, out and in, has its few lines here: in two files none would be
// whole.
#include "loop/keeper_client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/text.hpp"
#include "keeper/plan.hpp"
#include "loop/keeper_datagram.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"

namespace circus::loop {

using keeper::ChildId;
using keeper::Header;
using keeper::Kind;

namespace {

constexpr int kDatagramsPerTurn = 64;
// The kernel can be short of memory, or of descriptors in flight, while the socket stays writable.
constexpr Milliseconds kRetry{10};
constexpr Milliseconds kHoldWait{100};
constexpr std::size_t kLargestAnswer = 4096;

struct Outgoing {
    std::vector<std::byte> data;
    std::vector<UniqueFd> fds;
};

template <class Message>
std::vector<std::byte> bytes_of(const Message& message) {
    std::vector<std::byte> data(sizeof message);
    std::memcpy(data.data(), &message, sizeof message);
    return data;
}

template <class Message>
std::optional<Message> message_from(const std::byte* data, std::size_t size) {
    if (size < sizeof(Message)) return std::nullopt;
    Message message;
    std::memcpy(&message, data, sizeof message);
    return message;
}

Sent send_outgoing(int socket, const Outgoing& message) {
    int fds[keeper::kMaxFdsPerMessage];
    std::transform(message.fds.begin(), message.fds.end(), fds, [](const UniqueFd& fd) { return fd.get(); });
    return send_datagram(socket, message.data, fds, message.fds.size());
}

}  // namespace

struct KeeperClient::State : std::enable_shared_from_this<State> {
    State(Loop& loop, UniqueFd s, Handler h)
        : socket(std::move(s)), handler(std::move(h)), retry(loop, [this] { on_timer(); }) {}

    // False: the request is lost.
    bool submit(std::vector<std::byte> data, const int* fds, std::size_t fd_count,
                std::optional<ChildId> spawn);
    bool save(std::span<const std::byte> state);
    void fail_later(ChildId id, keeper::SpawnStage stage, int error);
    void send_queued();
    bool send_all(Milliseconds limit);
    void on_ready(unsigned ready);
    void on_timer();
    void read_some();
    bool read_one();
    void handle(const std::byte* data, std::size_t size, std::vector<UniqueFd> fds);
    void end();

    UniqueFd socket;
    UniqueFd spare{::open("/dev/null", O_PATH | O_CLOEXEC)};  // its number is for a state to be saved
    Handler handler;
    Timer retry;
    std::optional<Poll> poll;  // destroyed before the socket
    std::deque<Outgoing> queue;
    std::vector<keeper::SpawnFailedMessage> own_failures;  // spawns that were never sent
    std::uint64_t received = 0;
    bool just_greeted = false;
    bool cannot_send = false;  // EPIPE; what the keeper said before is still read
    bool gone = false;
    bool closed = false;  // the client was destroyed: no more callbacks
};

bool KeeperClient::State::submit(std::vector<std::byte> data, const int* fds, std::size_t fd_count,
                                 std::optional<ChildId> spawn) {
    if (cannot_send || gone) return true;
    if (queue.empty()) {
        switch (send_datagram(socket.get(), data, fds, fd_count)) {
            case Sent::Yes:
                return true;
            case Sent::PeerGone:
                cannot_send = true;
                return true;  // EOF follows, behind what is still to be read
            case Sent::Refused: {
                const int error = errno;
                if (spawn)
                    fail_later(*spawn, keeper::SpawnStage::Decode, error);
                else
                    log::error(sys_error("keeper: a request was refused", error).text);
                return false;
            }
            case Sent::Full:
            case Sent::Short:
                break;
        }
    }
    Outgoing message{std::move(data), {}};
    for (std::size_t i = 0; i < fd_count; ++i) {
        message.fds.emplace_back(fcntl(fds[i], F_DUPFD_CLOEXEC, 0));
        if (message.fds.back()) continue;
        // The caller may close its descriptor after this call, so without a duplicate the request cannot
        // wait.
        const int error = errno;
        if (spawn) {
            fail_later(*spawn, keeper::SpawnStage::Descriptors, error);
            return false;
        }
        // A lost Hold would break every later spawn that names it, so this one does wait, briefly: the keeper
        // never blocks on us and reads at once.
        if (send_all(kHoldWait) && send_datagram(socket.get(), message.data, fds, fd_count) == Sent::Yes)
            return true;
        log::error(sys_error("keeper: a descriptor could not be passed", error).text);
        return false;
    }
    queue.push_back(std::move(message));
    poll->watch(Poll::kReadable | Poll::kWritable);
    return true;
}

bool KeeperClient::State::save(std::span<const std::byte> state) {
    if (cannot_send || gone) return true;
    UniqueFd memfd = sealed_memfd(state);
    if (!memfd && (errno == EMFILE || errno == ENFILE)) {
        spare.reset();
        memfd = sealed_memfd(state);
    }
    bool is_sent = false;
    if (memfd) {
        const int fd = memfd.get();
        is_sent = submit(bytes_of(keeper::SaveMessage{}), &fd, 1, std::nullopt);
    } else {
        log::error(sys_error("keeper: the state could not be saved", errno).text);
    }
    memfd.reset();
    if (!spare) spare.reset(::open("/dev/null", O_PATH | O_CLOEXEC));
    return is_sent;
}

void KeeperClient::State::fail_later(ChildId id, keeper::SpawnStage stage, int error) {
    keeper::SpawnFailedMessage message;
    message.id = id;
    message.stage = stage;
    message.error = error;
    own_failures.push_back(message);
    retry.start(Duration::zero());
}

void KeeperClient::State::send_queued() {
    while (!queue.empty() && !cannot_send) {
        const Sent sent = send_outgoing(socket.get(), queue.front());
        if (sent == Sent::Full) return;
        if (sent == Sent::Short) {
            // Writable all the while: only time helps.
            poll->watch(Poll::kReadable);
            retry.start(kRetry);
            return;
        }
        if (sent == Sent::Refused) log::error(sys_error("keeper: a queued request was refused", errno).text);
        cannot_send = sent == Sent::PeerGone;
        queue.pop_front();
    }
    queue.clear();
    if (!gone) poll->watch(Poll::kReadable);
}

// Blocks until the queue is empty, `limit` at the most.
bool KeeperClient::State::send_all(Milliseconds limit) {
    const TimePoint deadline = Monotonic::now() + limit;
    while (!gone && !queue.empty()) {
        const auto left = std::chrono::ceil<Milliseconds>(deadline - Monotonic::now());
        if (left.count() <= 0) break;
        pollfd wait{socket.get(), POLLOUT, 0};
        ::poll(&wait, 1, static_cast<int>(left.count()));
        const std::size_t before = queue.size();
        send_queued();
        // Writable and yet refused: the kernel is short of memory, and only time helps.
        if (queue.size() == before && (wait.revents & POLLOUT)) ::poll(nullptr, 0, 1);
    }
    return queue.empty() && !cannot_send && !gone;
}

void KeeperClient::State::on_timer() {
    const auto self = shared_from_this();
    if (!queue.empty() && !gone) {
        poll->watch(Poll::kReadable | Poll::kWritable);
        send_queued();
    }
    const auto failures = std::exchange(own_failures, {});
    for (const auto& failure : failures)
        if (!closed && handler.spawn_failed) handler.spawn_failed(failure);
}

void KeeperClient::State::on_ready(unsigned ready) {
    const auto self = shared_from_this();
    if (ready & Poll::kWritable) send_queued();
    if (ready & Poll::kReadable) read_some();
}

void KeeperClient::State::read_some() {
    // Poll is level-triggered: what the budget leaves brings the loop back here.
    just_greeted = false;
    for (int n = 0; n < kDatagramsPerTurn; ++n)
        if (closed || gone || !read_one() || just_greeted) return;
}

// One datagram; false when there is none, or nothing more will come.
bool KeeperClient::State::read_one() {
    alignas(8) std::byte data[kLargestAnswer];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * keeper::kMaxFdsPerMessage)];
    iovec part{data, sizeof data};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(socket.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
        // ECONNRESET: the keeper died with requests unread. The kernel says so once and before it hands out
        // what the keeper had sent (skb_recv_datagram looks at sk_err first), so read on until EOF.
        if (errno == EINTR || errno == ECONNRESET) return true;
        if (errno == EAGAIN) return false;
        log::error(sys_error("keeper: reading failed", errno).text);
        end();
        return false;
    }
    std::vector<UniqueFd> fds;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            fds.emplace_back(fd);
        }
    }
    if (n == 0) {
        end();
        return false;
    }
    ++received;
    handle(data, static_cast<std::size_t>(n), std::move(fds));
    return true;
}

void KeeperClient::State::handle(const std::byte* data, std::size_t size, std::vector<UniqueFd> fds) {
    const auto header = message_from<Header>(data, size);
    const auto deliver = [&]<class Message>(const std::function<void(const Message&)>& to) {
        const auto message = message_from<Message>(data, size);
        if (message && to) to(*message);
        return message.has_value();
    };
    const auto take = [&fds](std::size_t at) { return at < fds.size() ? std::move(fds[at]) : UniqueFd(); };
    bool understood = header && header->magic == keeper::kWireMagic;
    if (understood) {
        switch (header->kind) {
            case Kind::Hello: {
                const auto message = message_from<keeper::HelloMessage>(data, size);
                understood = message.has_value();
                if (message && handler.hello) handler.hello(*message, take(0), take(1));
                break;
            }
            case Kind::Child: {
                const auto message = message_from<keeper::ChildMessage>(data, size);
                understood = message.has_value();
                if (message && handler.child) handler.child(*message, take(0));
                break;
            }
            case Kind::Held: {
                const auto message = message_from<keeper::HeldMessage>(data, size);
                understood = message.has_value();
                if (message && handler.held) handler.held(*message, take(0));
                break;
            }
            case Kind::Greeted:
                // Whoever is greeted has to become somebody before it hears what has happened since.
                just_greeted = true;
                if (handler.greeted) handler.greeted();
                break;
            case Kind::Upgraded: {
                const auto message = message_from<keeper::UpgradedMessage>(data, size);
                understood = message.has_value();
                if (message && handler.upgraded) handler.upgraded(message->error);
                break;
            }
            case Kind::Unsaved:
                if (handler.unsaved) handler.unsaved();
                break;
            case Kind::SpawnFailed:
                understood = deliver(handler.spawn_failed);
                break;
            case Kind::Exited:
                understood = deliver(handler.exited);
                break;
            case Kind::Caught:
                understood = deliver(handler.caught);
                break;
            case Kind::Spawned: {
                const auto message = message_from<keeper::SpawnedMessage>(data, size);
                understood = message.has_value();
                if (message && handler.spawned) handler.spawned(*message, take(0));
                break;
            }
            default:
                understood = false;
        }
    }
    if (!understood) log::error(cat("keeper: a message of ", size, " bytes that is none of its kinds"));
}

void KeeperClient::State::end() {
    gone = true;
    poll.reset();
    queue.clear();
    if (!closed && handler.gone) handler.gone();
}

KeeperClient::KeeperClient(std::shared_ptr<State> state) : state_(std::move(state)) {}
KeeperClient::KeeperClient(KeeperClient&&) noexcept = default;

KeeperClient& KeeperClient::operator=(KeeperClient&& other) noexcept {
    KeeperClient old(std::exchange(state_, std::move(other.state_)));
    return *this;
}

KeeperClient::~KeeperClient() {
    if (!state_) return;
    state_->closed = true;
    state_->retry.stop();
    state_->poll.reset();
}

Result<KeeperClient> KeeperClient::make(Loop& loop, UniqueFd socket, Handler handler) {
    const int fd = socket.get();
    auto state = std::make_shared<State>(loop, std::move(socket), std::move(handler));
    auto poll = Poll::make(loop, fd, [s = state.get()](unsigned ready) { s->on_ready(ready); });
    if (!poll) return poll.error();
    state->poll.emplace(std::move(*poll));
    state->poll->watch(Poll::kReadable);
    return KeeperClient(std::move(state));
}

void KeeperClient::spawn(ChildId id, const keeper::SpawnRequest& request) {
    const std::vector<std::byte> plan = keeper::encode_plan(request);
    keeper::SpawnMessage message;
    message.id = id;
    message.plan_size = static_cast<std::uint32_t>(plan.size());
    message.note = request.note;
    std::vector<int> fds = request.passed;
    UniqueFd memfd;
    if (plan.size() > keeper::kMaxDatagram - sizeof message) {
        memfd = sealed_memfd(plan);
        if (!memfd) return state_->fail_later(id, keeper::SpawnStage::Decode, errno);
        message.in_memfd = 1;
        fds.push_back(memfd.get());
    }
    if (fds.size() > keeper::kMaxFdsPerMessage)
        return state_->fail_later(id, keeper::SpawnStage::Descriptors, E2BIG);
    std::vector<std::byte> data = bytes_of(message);
    if (message.in_memfd == 0) data.insert(data.end(), plan.begin(), plan.end());
    state_->submit(std::move(data), fds.data(), fds.size(), id);
}

void KeeperClient::signal(ChildId id, int signo, keeper::Scope scope, pid_t pid, bool stopping) {
    keeper::SignalMessage message;
    message.id = id;
    message.signo = signo;
    message.scope = scope;
    message.pid = pid;
    message.stopping = stopping ? 1 : 0;
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

void KeeperClient::hold(keeper::HoldId id, std::string_view name, int fd) {
    keeper::HoldMessage message;
    message.id = id;
    name.copy(message.name, sizeof message.name - 1);
    state_->submit(bytes_of(message), &fd, 1, std::nullopt);
}

void KeeperClient::drop(keeper::HoldId id) {
    keeper::DropMessage message;
    message.id = id;
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

void KeeperClient::limits(Milliseconds stop_timeout, Milliseconds arbiter_timeout) {
    const auto count = [](Milliseconds time) {
        return static_cast<std::uint64_t>(std::max<Milliseconds::rep>(0, time.count()));
    };
    keeper::LimitsMessage message;
    message.stop_timeout_ms = count(stop_timeout);
    message.arbiter_timeout_ms = count(arbiter_timeout);
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

bool KeeperClient::save(std::string_view state) {
    return state_->save(std::as_bytes(std::span(state)));
}

void KeeperClient::upgrade(std::string_view binary) {
    keeper::UpgradeMessage message;
    binary.copy(message.binary, sizeof message.binary - 1);
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

void KeeperClient::ready() {
    const keeper::ReadyMessage message;
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

void KeeperClient::notify(std::string_view text) {
    keeper::NotifyMessage message;
    text.copy(message.text, sizeof message.text - 1);
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

void KeeperClient::exit(int code) {
    keeper::ExitMessage message;
    message.code = code;
    state_->submit(bytes_of(message), nullptr, 0, std::nullopt);
}

bool KeeperClient::flush(Milliseconds limit) {
    return state_->send_all(limit);
}

std::size_t KeeperClient::queued() const {
    return state_->queue.size();
}

std::uint64_t KeeperClient::received() const {
    return state_->received;
}

bool KeeperClient::is_gone() const {
    return state_->gone;
}

}  // namespace circus::loop
