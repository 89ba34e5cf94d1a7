// Streams on a loop, a directory of their own, and workers that are forked and write to a pipe of theirs.
#pragma once

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "loop/loop.hpp"
#include "loop/timer.hpp"
#include "stream/streams.hpp"

namespace circus::stream {

inline std::string slurp(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return std::move(out).str();
}

// All of it, or the worker is gone (EPIPE).
inline bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

struct Worker {
    PipeId pipe = 0;
    pid_t pid = 0;
    bool is_reaped = false;
    bool is_drained = false;
    std::optional<std::string> last;  // of a stderr
};

struct StreamTest : testing::Test {
    StreamTest() {
        signal(SIGPIPE, SIG_IGN);
        std::string name = testing::TempDir() + "circus-stream-XXXXXX";
        directory = mkdtemp(name.data());
        make_streams(1);
    }
    ~StreamTest() override {
        streams.reset();
        EXPECT_TRUE(loop.close()) << "a handle is still alive";
        // A compression that is given up may still remove its own file meanwhile.
        std::error_code failed;
        const TimePoint deadline = Monotonic::now() + std::chrono::seconds(10);
        do std::filesystem::remove_all(directory, failed);
        while (std::filesystem::exists(directory) && Monotonic::now() < deadline);
    }

    void make_streams(int stdout_fd) {
        streams = std::make_unique<Streams>(
            loop, StreamsOptions{.trouble = [this](const Trouble& t) { troubles.push_back(t); },
                                 .stdout_fd = stdout_fd,
                                 .journal =
                                     [] {
                                         auto parts = Journal::make_parts();
                                         EXPECT_TRUE(parts);
                                         return parts ? std::move(*parts) : Journal::Parts{};
                                     }});
    }
    StreamSpec file(const std::string& name) const {
        StreamSpec spec;
        spec.filename = directory + "/" + name;
        return spec;
    }
    bool wait_until(const std::function<bool()>& condition) {
        bool late = false;
        loop::Timer tick(loop, [] {}), deadline(loop, [&] { late = true; });
        tick.start(Duration::zero(), std::chrono::milliseconds(2));
        deadline.start(std::chrono::seconds(20));
        while (!condition() && !late) loop.run_once();
        return condition();
    }
    // A process that runs `body` with the write end of a pipe of its own, and then is gone at once.
    std::unique_ptr<Worker> spawn(const StreamSpec& spec, const std::function<void(int fd)>& body) {
        auto pipe = streams->open(spec);
        EXPECT_TRUE(pipe);
        auto worker = std::make_unique<Worker>();
        worker->pipe = pipe->id;
        worker->pid = fork();
        if (worker->pid == 0) {
            body(pipe->write_end.get());
            _exit(0);
        }
        streams->start(pipe->id, worker->pid);
        return worker;
    }
    std::unique_ptr<Worker> spawn(const StreamSpec& spec, const std::string& text) {
        return spawn(spec, [&text](int fd) { write_all(fd, text); });
    }
    bool is_reaped(Worker& worker) {
        if (worker.is_reaped || waitpid(worker.pid, nullptr, WNOHANG) != worker.pid) return worker.is_reaped;
        worker.is_reaped = true;
        streams->finish(worker.pipe, [&worker](const std::optional<std::string>& last) {
            worker.is_drained = true;
            worker.last = last;
        });
        return true;
    }
    bool reap(Worker& worker) {
        return wait_until([&] { return is_reaped(worker) && worker.is_drained; });
    }
    // The whole life of a worker that writes `text`.
    void run(const StreamSpec& spec, const std::string& text) {
        const auto worker = spawn(spec, text);
        EXPECT_TRUE(reap(*worker));
    }
    int begun() const {
        int n = 0;
        for (const Trouble& t : troubles) n += t.begins;
        return n;
    }
    int ended() const { return static_cast<int>(troubles.size()) - begun(); }

    loop::Loop loop;
    std::string directory;
    std::vector<Trouble> troubles;
    std::unique_ptr<Streams> streams;
};

}  // namespace circus::stream
