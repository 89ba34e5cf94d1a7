#include <chrono>

#include "keeper_harness.hpp"

namespace circus::keeper {
namespace {

class Stack {
  public:
    explicit Stack(Keeper& keeper) : keeper_(keeper) {}
    void add(ChildId id, const std::vector<std::string>& words, std::uint32_t graceful_ms) {
        SpawnRequest request = probe(words);
        request.graceful_timeout_ms = graceful_ms;
        outputs_.emplace_back(std::make_unique<Output>());
        pids.push_back(keeper_.start(id, request, *outputs_.back()));
        EXPECT_EQ(outputs_.back()->pid("ready"), pids.back());
        for (const char* kind : {"child", "grandchild", "sessioned", "orphan", "daemon"})
            if (words[0] == "family") pids.push_back(outputs_.back()->pid(kind));
    }
    bool any_alive() const {
        for (const pid_t pid : pids)
            if (is_alive(pid)) return true;
        return false;
    }
    std::vector<pid_t> pids;

  private:
    Keeper& keeper_;
    std::vector<std::unique_ptr<Output>> outputs_;
};

double seconds_since(TimePoint start) {
    return to_seconds(Monotonic::now() - start);
}

TEST(Ready, SendsTheCallerAwayAndLetsGoOfItsDescriptors) {
    Output told;
    Keeper::Options options;
    options.ready = told.write_end();
    Keeper keeper(options);
    told.close_write_end();
    const auto stdout_of = [&] {
        char target[256] = {};
        const std::string link = "/proc/" + std::to_string(keeper.pid()) + "/fd/1";
        return readlink(link.c_str(), target, sizeof target - 1) > 0 ? std::string(target) : std::string();
    };
    EXPECT_NE(stdout_of(), "/dev/null");
    keeper.ready();
    EXPECT_EQ(told.all(), std::string(1, '\1')) << "and the end of the pipe";
    EXPECT_EQ(stdout_of(), "/dev/null");
    keeper.ready();  // once more is nothing
    keeper.exit(3);
    EXPECT_EQ(keeper.wait_exit(), 3);
}

TEST(Ready, WhenNobodyWaitsAnyMoreTheStackIsToStop) {
    Keeper::Options options;
    {
        Output told;
        options.ready = fcntl(told.write_end(), F_DUPFD_CLOEXEC, 3);
    }
    Keeper keeper(options);
    close(options.ready);
    keeper.ready();
    EXPECT_EQ(keeper.receive(Kind::Caught).as<CaughtMessage>().signo, SIGTERM);
    keeper.exit(0);
    EXPECT_EQ(keeper.wait_exit(), 0);
}

TEST(Exit, EndsEverythingBelowAndReturnsTheCode) {
    Keeper keeper;
    Stack stack(keeper);
    stack.add(1, {"family"}, 30000);
    stack.add(2, {"stay"}, 30000);
    keeper.exit(5);
    EXPECT_EQ(keeper.wait_exit(), 5);
    EXPECT_FALSE(stack.any_alive());
}

TEST(ArbiterGone, TheKeeperStopsTheStackAndReturnsOne) {
    Keeper keeper;
    Stack stack(keeper);
    stack.add(1, {"family"}, 30000);  // ends at TERM; its descendants do not
    stack.add(2, {"count", std::to_string(SIGUSR1)}, 30000);
    const auto start = Monotonic::now();
    keeper.vanish();
    EXPECT_EQ(keeper.wait_exit(), 1);
    EXPECT_LT(seconds_since(start), 5);
    EXPECT_FALSE(stack.any_alive());
}

TEST(ArbiterGone, AWorkerThatIgnoresTheSignalIsKilledAfterItsGrace) {
    Keeper keeper;
    Stack stack(keeper);
    stack.add(1, {"stay"}, 300);
    const auto start = Monotonic::now();
    keeper.vanish();
    EXPECT_EQ(keeper.wait_exit(), 1);
    EXPECT_GE(seconds_since(start), 0.3);
    EXPECT_LT(seconds_since(start), 5);
    EXPECT_FALSE(stack.any_alive());
}

TEST(ArbiterGone, NoGraceIsLongerThanTheStackMayTake) {
    Keeper keeper({.stop_timeout = 0.3, .patience = 0.2});
    Stack stack(keeper);
    stack.add(1, {"stay"}, 30000);
    keeper.vanish();
    EXPECT_EQ(keeper.wait_exit(5), 1);
    EXPECT_FALSE(stack.any_alive());
}

TEST(ArbiterGone, ASecondRequestKillsAtOnce) {
    Keeper keeper({.stop_timeout = 60});
    Stack stack(keeper);
    stack.add(1, {"stay"}, 60000);
    stack.add(2, {"count", std::to_string(SIGUSR1)}, 60000);
    keeper.vanish();
    ASSERT_TRUE(eventually([&] { return !is_alive(stack.pids[1]); }));  // the stop has begun
    kill(keeper.pid(), SIGTERM);
    EXPECT_FALSE(keeper.wait_exit(0.1));
    kill(keeper.pid(), SIGINT);
    EXPECT_EQ(keeper.wait_exit(5), 1);
    EXPECT_FALSE(stack.any_alive());
}

TEST(ArbiterGone, TheStopSignalIsTheWorkersOwn) {
    Keeper keeper({.stop_timeout = 60});
    Output output;
    SpawnRequest request = probe({"count", std::to_string(SIGUSR1), std::to_string(SIGTERM)});
    request.stop_signal = SIGUSR1;
    request.graceful_timeout_ms = 300;
    keeper.start(1, request, output);
    ASSERT_GT(output.pid("ready"), 0);
    keeper.vanish();
    EXPECT_EQ(keeper.wait_exit(5), 1);
    EXPECT_EQ(output.pid("got"), SIGUSR1);
}

TEST(ArbiterHangs, TheKeeperStopsTheStackWhenItsTimeIsOver) {
    Keeper keeper({.stop_timeout = 0.3, .patience = 0.2});
    Stack stack(keeper);
    stack.add(1, {"family"}, 100);
    kill(keeper.pid(), SIGTERM);
    EXPECT_EQ(keeper.receive(Kind::Caught).as<CaughtMessage>().signo, SIGTERM);
    EXPECT_EQ(keeper.wait_exit(5), 1);  // though the arbiter, this test, neither ends nor says Exit
    EXPECT_FALSE(stack.any_alive());
}

TEST(ArbiterHangs, TheConfigurationsDeadlineIsTheKeepers) {
    Keeper keeper({.stop_timeout = 60, .patience = 0.2});
    keeper.limits(100);
    Stack stack(keeper);
    stack.add(1, {"family"}, 100);
    kill(keeper.pid(), SIGTERM);
    EXPECT_EQ(keeper.wait_exit(5), 1);
    EXPECT_FALSE(stack.any_alive());
}

// The whole daemon, with the probe as its arbiter.
class Daemon {
  public:
    explicit Daemon(
        const std::vector<std::string>& script, const std::function<void()>& prepare = [] {}) {
        int errors[2];
        EXPECT_EQ(pipe2(errors, O_CLOEXEC), 0);
        errors_.reset(errors[0]);
        pid_ = fork();
        if (pid_ == 0) {
            dup2(output_.write_end(), 1);
            dup2(errors[1], 2);
            prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
            prepare();
            std::vector<std::string> words = {KEEPER_PROBE, "daemon"};
            words.insert(words.end(), script.begin(), script.end());
            std::vector<char*> argv;
            for (auto& word : words) argv.push_back(word.data());
            argv.push_back(nullptr);
            execv(KEEPER_PROBE, argv.data());
            _exit(96);
        }
        ::close(errors[1]);
        output_.close_write_end();
    }
    ~Daemon() {
        if (pid_ <= 0) return;
        kill(pid_, SIGTERM);
        kill(pid_, SIGTERM);
        if (!wait_exit()) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    std::optional<int> wait_exit(double seconds = 10) {
        int status = 0;
        if (!eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, seconds))
            return std::nullopt;
        pid_ = -1;
        EXPECT_TRUE(WIFEXITED(status));
        return WEXITSTATUS(status);
    }
    void kill_keeper() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    std::string errors() {
        char buffer[2000];
        const ssize_t got = read(errors_.get(), buffer, sizeof buffer);
        return {buffer, got > 0 ? static_cast<std::size_t>(got) : 0};
    }
    // The arbiter is the keeper's first child.
    pid_t arbiter() const {
        std::ifstream file("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
        pid_t pid = -1;
        return file >> pid ? pid : -1;
    }
    Output& output() { return output_; }
    pid_t pid() const { return pid_; }

  private:
    Output output_;
    UniqueFd errors_;
    pid_t pid_ = -1;
};

TEST(RunKeeper, ReturnsWhatTheArbiterSays) {
    EXPECT_EQ(Daemon({"exit", "0"}).wait_exit(), 0);
    EXPECT_EQ(Daemon({"exit", "3"}).wait_exit(), 3);
}

TEST(RunKeeper, SaysHowAnArbiterEndedThatSaidNothing) {
    Daemon daemon({"leave", "4"});
    EXPECT_EQ(daemon.wait_exit(), 4);
    EXPECT_EQ(daemon.errors(), "circusd: the arbiter exited unasked with status 4; stopping the stack\n");
}

TEST(RunKeeper, StartsTheArbiterCleanOnItsOwnSession) {
    Daemon daemon({"report"}, [] {
        signal(SIGHUP, SIG_IGN);  // as under nohup
        dup2(0, 50);
    });
    const std::string seen = daemon.output().all();
    EXPECT_EQ(daemon.output().value("sid"), daemon.output().value("pid"));
    EXPECT_NE(seen.find("\nfd.3 socket:"), std::string::npos);
    EXPECT_EQ(seen.find("\nfd.50 "), std::string::npos);
    EXPECT_NE(seen.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"), std::string::npos);
    EXPECT_EQ(daemon.wait_exit(), 1);
}

TEST(RunKeeper, OpensTheStandardDescriptorsThatAreClosed) {
    Daemon daemon({"report"}, [] {
        ::close(0);
        ::close(2);
    });
    const std::string seen = daemon.output().all();
    EXPECT_NE(seen.find("\nfd.0 /dev/null\n"), std::string::npos);
    EXPECT_NE(seen.find("\nfd.2 /dev/null\n"), std::string::npos);
    daemon.wait_exit();
}

TEST(RunKeeper, WaitsForItsChildrenEvenIfStartedWithSigchldIgnored) {
    Daemon daemon({"exit", "6"}, [] { signal(SIGCHLD, SIG_IGN); });
    EXPECT_EQ(daemon.wait_exit(), 6);
}

std::vector<pid_t> family_of(Daemon& daemon) {
    std::vector<pid_t> pids;
    for (const char* kind : {"ready", "child", "grandchild", "sessioned", "orphan", "daemon"}) {
        pids.push_back(daemon.output().pid(kind));
        EXPECT_TRUE(is_alive(pids.back())) << kind;
    }
    return pids;
}

void expect_gone(const std::vector<pid_t>& pids) {
    for (const pid_t pid : pids) EXPECT_FALSE(is_alive(pid)) << pid;
}

TEST(RunKeeper, LeavesNothingAfterASignalThatTheArbiterAnswers) {
    Daemon daemon({"family"});
    const auto family = family_of(daemon);
    kill(daemon.pid(), SIGTERM);
    EXPECT_EQ(daemon.wait_exit(), SIGTERM);
    expect_gone(family);
}

TEST(RunKeeper, StopsTheStackOfAKilledArbiter) {
    Daemon daemon({"family"});
    const auto family = family_of(daemon);
    kill(daemon.arbiter(), SIGKILL);
    EXPECT_EQ(daemon.wait_exit(), 1);
    EXPECT_EQ(daemon.errors(), "circusd: the arbiter was killed by signal 9 (Killed); stopping the stack\n");
    expect_gone(family);
}

TEST(RunKeeper, StopsTheStackOfAnArbiterThatHangs) {
    Daemon daemon({"hang"});
    auto family = family_of(daemon);
    family.push_back(daemon.arbiter());
    kill(daemon.arbiter(), SIGSTOP);
    kill(daemon.pid(), SIGTERM);
    ASSERT_FALSE(daemon.wait_exit(0.2));
    kill(daemon.pid(), SIGTERM);
    EXPECT_EQ(daemon.wait_exit(20), 1);
    expect_gone(family);
}

TEST(RunKeeper, TheArbiterOutlivesAKilledKeeper) {
    Daemon daemon({"hang"});
    const auto family = family_of(daemon);
    const pid_t arbiter = daemon.arbiter();
    daemon.kill_keeper();
    EXPECT_TRUE(is_alive(arbiter));
    // This arbiter does not do its part, to stop the stack: nothing may be left running.
    kill(arbiter, SIGKILL);
    for (const pid_t pid : family) kill(pid, SIGKILL);
    EXPECT_TRUE(eventually([&] { return !is_alive(arbiter); }));
}

}  // namespace
}  // namespace circus::keeper
