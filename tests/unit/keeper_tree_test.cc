#include <memory>
#include <set>

#include "keeper/tree.hpp"
#include "keeper_harness.hpp"

namespace circus::keeper {
namespace {

// A process of this test's own that does nothing, until the end of the scope.
class Idle {
  public:
    explicit Idle(std::vector<std::string> environment = {}, const char* name = "stay",
                  const char* mode = "stay") {
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        pid_ = fork();
        if (pid_ == 0) {
            dup2(null, 1);
            prctl(PR_SET_NAME, name);
            if (environment.empty())
                for (;;) pause();
            std::vector<char*> envp;
            for (auto& entry : environment) envp.push_back(entry.data());
            envp.push_back(nullptr);
            execle(KEEPER_PROBE, "probe", mode, nullptr, envp.data());
            _exit(96);
        }
        ::close(null);
    }
    ~Idle() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;
};

std::set<pid_t> pids(const ProcessList& list) {
    std::set<pid_t> out;
    for (std::size_t i = 0; i < list.size(); ++i) out.insert(list[i].pid);
    return out;
}

TEST(Tree, FindsTheChildrenEitherWay) {
    const Idle first, second;
    auto listed = std::make_unique<ProcessList>();
    auto walked = std::make_unique<ProcessList>();
    append_children(getpid(), *listed);
    append_children_by_walk(getpid(), *walked);
    EXPECT_EQ(pids(*listed), (std::set<pid_t>{first.pid(), second.pid()}));
    EXPECT_EQ(pids(*walked), pids(*listed));
    EXPECT_EQ((*walked)[0].parent, getpid());
}

TEST(Tree, ReadsAProcessWhoseNameLooksLikeItsFields) {
    const Idle child({}, "x) Z 1 1 (");
    ProcessStat stat;
    ASSERT_TRUE(eventually([&] { return read_stat(child.pid(), stat) && stat.state == 'S'; }));
    EXPECT_EQ(stat.parent, getpid());
    EXPECT_EQ(stat.session, getsid(0));
    EXPECT_GT(stat.start_ticks, 0U);
}

TEST(Tree, ReadsTheMarkOfItsOwnInstanceOnly) {
    const std::string padding = "PADDING=" + std::string(100000, 'x');
    const Idle child({padding, "XCIRCUS_INSTANCE=12-34.5", "CIRCUS_INSTANCE=12-345.6",
                      "CIRCUS_INSTANCE=12-34.7x", "CIRCUS_INSTANCE=12-34.89", "END="});
    EXPECT_TRUE(eventually([&] { return read_mark(child.pid(), "12-34") == 89; }));
    EXPECT_EQ(read_mark(child.pid(), "12-345"), 6U);
    EXPECT_EQ(read_mark(child.pid(), "12-3"), 0U);
    EXPECT_EQ(read_mark(child.pid(), "99-99"), 0U);
}

TEST(Tree, ReadsTheMarkOfOneWhoseFirstThreadHasEnded) {
    const Idle child({"CIRCUS_INSTANCE=12-34.89"}, "stay", "headless");
    ProcessStat stat;
    ASSERT_TRUE(eventually([&] { return read_stat(child.pid(), stat) && stat.state == 'Z'; }));
    EXPECT_EQ(stat.threads, 2U);
    EXPECT_EQ(read_mark(child.pid(), "12-34"), 89U);
}

TEST(Tree, SignalsNobodyUnderAnotherParent) {
    Keeper keeper;
    keeper.spawn(1, probe({"stay"}));
    const pid_t pid = keeper.spawned(1).pid;
    EXPECT_FALSE(signal_process({pid, 1}, 1, SIGKILL));
    EXPECT_TRUE(is_alive(pid));
    EXPECT_TRUE(signal_process({pid, keeper.pid()}, 1, SIGKILL));
    keeper.exited(1);
    EXPECT_FALSE(signal_process({pid, keeper.pid()}, 1, SIGKILL));
}

}  // namespace
}  // namespace circus::keeper
