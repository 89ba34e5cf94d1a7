// The test as the arbiter of a real keeper, which runs in a process of its own. Every wait has a deadline;
// the destructor kills what is left, so a failed test leaves nothing running.
#pragma once

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <linux/sockios.h>
#include <map>
#include <optional>
#include <poll.h>
#include <sstream>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "keeper/child.hpp"
#include "keeper/plan.hpp"
#include "keeper/service.hpp"

namespace circus::keeper {

inline bool eventually(const std::function<bool()>& condition, double seconds = 30) {
    const auto deadline = Monotonic::now() + from_seconds(seconds);
    while (!condition()) {
        if (Monotonic::now() > deadline) return false;
        poll(nullptr, 0, 2);
    }
    return true;
}

inline bool is_alive(pid_t pid) {
    ProcessStat stat;
    return read_stat(pid, stat) && stat.state != 'Z' && stat.state != 'X';
}

// The reading end of a pipe whose other end a child gets.
class Output {
  public:
    Output() {
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        read_.reset(ends[0]);
        write_.reset(ends[1]);
    }
    int write_end() const { return write_.get(); }
    void close_write_end() { write_.reset(); }
    // Everything up to the end of file.
    std::string all() {
        while (more()) {
        }
        return text_;
    }
    // Waits for a line "key value" and returns its value; "" if none came.
    std::string value(const std::string& key) {
        for (;;) {
            std::istringstream lines(text_.substr(0, text_.rfind('\n') + 1));
            for (std::string line; std::getline(lines, line);)
                if (line.rfind(key + " ", 0) == 0) return line.substr(key.size() + 1);
            if (!more()) return "";
        }
    }
    pid_t pid(const std::string& key) {
        const std::string text = value(key);
        return text.empty() ? -1 : std::stoi(text);
    }

  private:
    bool more() {
        pollfd ready{read_.get(), POLLIN, 0};
        if (poll(&ready, 1, 30000) != 1) return false;
        char buffer[8192];
        const ssize_t got = read(read_.get(), buffer, sizeof buffer);
        if (got > 0) text_.append(buffer, static_cast<std::size_t>(got));
        return got > 0;
    }
    UniqueFd read_, write_;
    std::string text_;
};

// What came from the keeper, as the struct of its kind.
struct Message {
    Kind kind{};
    std::vector<std::byte> bytes;
    UniqueFd fd, second_fd;

    template <class T>
    T as() const {
        T out;
        EXPECT_EQ(bytes.size(), sizeof out);
        if (bytes.size() == sizeof out) std::memcpy(&out, bytes.data(), sizeof out);
        return out;
    }
};

inline SpawnRequest probe(const std::vector<std::string>& arguments) {
    SpawnRequest request;
    request.argv = {"probe"};
    request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
    request.candidates = {KEEPER_PROBE};
    return request;
}

class Keeper {
  public:
    struct Options {
        double stop_timeout = 10;
        double patience = 5;
        double ready_patience = 5;
        bool small_buffer = false;  // the keeper's socket takes only a few messages
        rlim_t nofile = 0;          // the keeper's RLIMIT_NOFILE
        uid_t user = 0;             // whom the keeper runs as
        int ready = -1;             // a descriptor for word of the start
        bool reserves = true;       // numbers through which children get their descriptors
        bool followed = false;      // the arbiter is a process, and when it dies another one is started
        int failing_starts = 0;     // of which so many fail
    };
    Keeper() : Keeper(Options()) {}
    explicit Keeper(const Options& options) {
        UniqueFd keeper_end;
        EXPECT_TRUE(make_channel(keeper_end, socket_));
        const int least = 1;
        if (options.small_buffer) setsockopt(keeper_end.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
        int handing[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, handing), 0);
        handing_.reset(handing[0]);
        UniqueFd far(handing[1]);
        pid_ = fork();
        if (pid_ == 0) {
            socket_.reset();
            handing_.reset();
            serve(std::move(keeper_end), far.get(), options);
        }
        keeper_end.reset();
        far.reset();
        if (options.followed) arbiter_ = next_start().first;
        take_hello();
    }
    ~Keeper() {
        if (pid_ <= 0) return;
        exit(0);
        if (!wait_exit(5)) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }

    void send(const void* data, std::size_t size, const std::vector<int>& fds = {}) {
        iovec part{const_cast<void*>(data), size};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
        if (!fds.empty()) {
            header.msg_control = control.data();
            header.msg_controllen = control.size();
            cmsghdr* const c = CMSG_FIRSTHDR(&header);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
            std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
        }
        EXPECT_EQ(sendmsg(socket_.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    }
    void spawn_bytes(ChildId id, const std::vector<std::byte>& plan, const std::vector<int>& passed = {}) {
        SpawnMessage message;
        message.id = id;
        message.plan_size = static_cast<std::uint32_t>(plan.size());
        std::vector<std::byte> datagram(sizeof message + plan.size());
        std::memcpy(datagram.data(), &message, sizeof message);
        std::copy(plan.begin(), plan.end(), datagram.begin() + sizeof message);
        send(datagram.data(), datagram.size(), passed);
    }
    // Adds the mark, as the arbiter does.
    void spawn(ChildId id, SpawnRequest request) {
        request.envp.push_back("CIRCUS_INSTANCE=" + mark(id));
        spawn_bytes(id, encode_plan(request), request.passed);
    }
    void spawn_by_memfd(ChildId id, SpawnRequest request) {
        const auto plan = encode_plan(request);
        const UniqueFd file(memfd_create("plan", MFD_CLOEXEC));
        EXPECT_EQ(write(file.get(), plan.data(), plan.size()), static_cast<ssize_t>(plan.size()));
        SpawnMessage message;
        message.id = id;
        message.plan_size = static_cast<std::uint32_t>(plan.size());
        message.in_memfd = 1;
        request.passed.push_back(file.get());
        send(&message, sizeof message, request.passed);
    }
    std::string mark(ChildId id) const { return std::string(hello.instance) + "." + std::to_string(id); }
    void signal(ChildId id, int signo, Scope scope = Scope::Process, bool stopping = false, pid_t pid = 0) {
        SignalMessage message;
        message.id = id;
        message.signo = signo;
        message.scope = scope;
        message.stopping = stopping ? 1 : 0;
        message.pid = pid;
        send(&message, sizeof message);
    }
    void hold(HoldId id, int fd) {
        HoldMessage message;
        message.id = id;
        std::strcpy(message.name, "test");
        send(&message, sizeof message, {fd});
    }
    void limits(std::uint64_t stop_timeout_ms, std::uint64_t arbiter_timeout_ms = 0) {
        LimitsMessage message;
        message.stop_timeout_ms = stop_timeout_ms;
        message.arbiter_timeout_ms = arbiter_timeout_ms;
        send(&message, sizeof message);
    }
    void ready() {
        const ReadyMessage message;
        send(&message, sizeof message);
    }
    void exit(int code) {
        ExitMessage message;
        message.code = code;
        ::send(socket_.get(), &message, sizeof message, MSG_NOSIGNAL);
    }
    void vanish() { socket_.reset(); }  // the end of the arbiter
    // The same of one that is a process; afterwards this is the next one, as far as its Hello.
    void die() {
        socket_.reset();
        kill(arbiter_, SIGKILL);
    }
    void follow() {
        auto [pid, socket] = next_start();
        arbiter_ = pid;
        socket_ = std::move(socket);
        take_hello();
    }
    void save(const std::string& state) {
        const UniqueFd file(memfd_create("state", MFD_CLOEXEC));
        EXPECT_EQ(write(file.get(), state.data(), state.size()), static_cast<ssize_t>(state.size()));
        const SaveMessage message;
        send(&message, sizeof message, {file.get()});
    }
    // What the arbiter before has saved.
    std::string saved() const {
        char text[256] = {};
        return state_ && pread(state_.get(), text, sizeof text - 1, 0) > 0 ? text : "";
    }
    // So many datagrams have been taken in.
    void take_in(std::uint64_t datagrams) { page->taken.store(datagrams); }
    std::uint64_t received = 0;  // datagrams from this keeper to the arbiter there is
    Page* page = nullptr;

    // The next message, which must be of that kind.
    Message receive(Kind kind) {
        Message message = next(30000);
        EXPECT_EQ(static_cast<unsigned>(message.kind), static_cast<unsigned>(kind));
        return message;
    }
    Message next(int timeout_ms) {
        Message message;
        pollfd ready{socket_.get(), POLLIN, 0};
        if (poll(&ready, 1, timeout_ms) != 1) return message;
        message.bytes.resize(kMaxDatagram);
        iovec part{message.bytes.data(), message.bytes.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 2)];
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        const ssize_t got = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
        if (got > 0) ++received;
        message.bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        if (const cmsghdr* c = CMSG_FIRSTHDR(&header)) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
            message.fd.reset(fd);
            if (c->cmsg_len == CMSG_LEN(2 * sizeof fd)) {
                std::memcpy(&fd, CMSG_DATA(c) + sizeof fd, sizeof fd);
                message.second_fd.reset(fd);
            }
        }
        Header head;
        if (message.bytes.size() >= sizeof head) std::memcpy(&head, message.bytes.data(), sizeof head);
        message.kind = head.kind;
        return message;
    }
    SpawnedMessage spawned(ChildId id) {
        const auto message = receive(Kind::Spawned).as<SpawnedMessage>();
        EXPECT_EQ(message.id, id);
        return message;
    }
    SpawnFailedMessage spawn_failed(ChildId id) {
        const auto message = receive(Kind::SpawnFailed).as<SpawnFailedMessage>();
        EXPECT_EQ(message.id, id);
        return message;
    }
    ExitedMessage exited(ChildId id) {
        const auto message = receive(Kind::Exited).as<ExitedMessage>();
        EXPECT_EQ(message.id, id);
        return message;
    }
    // Starts the request with its stdout in `output` and waits for Spawned.
    pid_t start(ChildId id, SpawnRequest request, Output& output) {
        request.passed.push_back(output.write_end());
        request.fds.push_back({FdMove::From::Passed, request.passed.size() - 1, 1});
        spawn(id, request);
        output.close_write_end();
        return spawned(id).pid;
    }

    pid_t pid() const { return pid_; }
    bool is_arbiter_alive() const { return is_alive(arbiter_); }
    // Whether the keeper still has requests to read.
    bool has_unread() const {
        int bytes = 0;
        EXPECT_EQ(ioctl(socket_.get(), SIOCOUTQ, &bytes), 0);
        return bytes > 0;
    }
    // The exit code, or nothing if it still runs after that time.
    std::optional<int> wait_exit(double seconds = 10) {
        int status = 0;
        if (!eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, seconds))
            return std::nullopt;
        pid_ = -1;
        EXPECT_TRUE(WIFEXITED(status)) << "the keeper was killed by signal " << WTERMSIG(status);
        return WEXITSTATUS(status);
    }
    bool has_children() const {
        std::ifstream file("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
        std::string word;
        return static_cast<bool>(file >> word);
    }

    HelloMessage hello;

  private:
    void take_hello() {
        received = 0;
        Message first = receive(Kind::Hello);
        hello = first.as<HelloMessage>();
        state_ = std::move(first.second_fd);
        void* const memory = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, first.fd.get(), 0);
        EXPECT_NE(memory, MAP_FAILED);
        page = static_cast<Page*>(memory);
    }
    std::pair<pid_t, UniqueFd> next_start() {
        pid_t pid = -1;
        iovec part{&pid, sizeof pid};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        pollfd ready{handing_.get(), POLLIN, 0};
        EXPECT_EQ(poll(&ready, 1, 30000), 1) << "no arbiter was started";
        EXPECT_EQ(recvmsg(handing_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT),
                  static_cast<ssize_t>(sizeof pid));
        int fd = -1;
        if (const cmsghdr* c = CMSG_FIRSTHDR(&header)) std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
        return {pid, UniqueFd(fd)};
    }
    struct Starts {
        int handing;
        mutable int failing;
    };
    // A process that is there and does nothing: its part is played by the test.
    static pid_t start_process() {
        const pid_t pid = fork();
        if (pid != 0) return pid;
        close_range(3, ~0U, 0);
        for (;;) pause();
    }
    static void hand_over(int handing, pid_t pid, int socket) {
        iovec part{&pid, sizeof pid};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        if (socket >= 0) {
            header.msg_control = control;
            header.msg_controllen = sizeof control;
            cmsghdr* const c = CMSG_FIRSTHDR(&header);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof socket);
            std::memcpy(CMSG_DATA(c), &socket, sizeof socket);
        }
        sendmsg(handing, &header, MSG_NOSIGNAL);
    }
    static SpawnOutcome start_next(const void* context, int socket) {
        const Starts& starts = *static_cast<const Starts*>(context);
        SpawnOutcome outcome;
        outcome.stage = SpawnStage::Fork;
        outcome.error = EAGAIN;
        if (starts.failing > 0 && starts.failing-- > 0) return outcome;
        outcome.pid = start_process();
        hand_over(starts.handing, outcome.pid, socket);
        return outcome;
    }

    [[noreturn]] static void serve(UniqueFd socket, int handing, const Options& options) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, nullptr);
        ::signal(SIGPIPE, SIG_IGN);
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        const rlimit limit{options.nofile, options.nofile};
        if (options.nofile != 0) setrlimit(RLIMIT_NOFILE, &limit);
        if (options.reserves) reserve_low_descriptors();
        if (options.user != 0 && (setresgid(options.user, options.user, options.user) != 0 ||
                                  setresuid(options.user, options.user, options.user) != 0))
            _exit(95);
        ServiceOptions service;
        service.socket = std::move(socket);
        const Starts starts{handing, options.failing_starts};
        if (options.followed) {
            service.arbiter_pid = start_process();
            service.start_arbiter = start_next;
            service.start_context = &starts;
            hand_over(handing, service.arbiter_pid, -1);
        }
        if (options.ready >= 0) service.ready.reset(fcntl(options.ready, F_DUPFD_CLOEXEC, 3));
        service.stop_timeout = from_seconds(options.stop_timeout);
        service.patience = from_seconds(options.patience);
        service.ready_patience = from_seconds(options.ready_patience);
        _exit(Service(std::move(service)).run());
    }
    UniqueFd socket_, handing_, state_;
    pid_t pid_ = -1;
    pid_t arbiter_ = -1;
};

}  // namespace circus::keeper
