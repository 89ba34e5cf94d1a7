#include "keeper_harness.hpp"

namespace circus::keeper {
namespace {

std::vector<std::string> counting(int signo) {
    return {"count", std::to_string(signo)};
}

TEST(Signal, ReachesTheProcess) {
    Keeper keeper;
    Output output;
    keeper.start(1, probe(counting(SIGUSR1)), output);
    ASSERT_GT(output.pid("ready"), 0);
    keeper.signal(1, SIGUSR1);
    EXPECT_EQ(output.pid("got"), SIGUSR1);
}

// A shell as the worker, with counters of its own: who of them gets the signal tells the scope.
class Scopes : public ::testing::Test {
  protected:
    // "own" is a direct child in the worker's group; "below" its child; "apart" a direct child with a session
    // of its own.
    void SetUp() override {
        const std::string count =
            std::string(KEEPER_PROBE) + " count " + std::to_string(SIGUSR1) + " | sed -u ";
        SpawnRequest request =
            probe({"-c", "trap 'echo worker got' USR1\n" + std::string(KEEPER_PROBE) +
                             " count 10 >\"$O.own\" &\n" + "(trap 'echo relay got' USR1; " + KEEPER_PROBE +
                             " count 10 >\"$O.below\" & while :; do wait; done) >\"$O.relay\" &\n" +
                             "setsid " + KEEPER_PROBE + " count 10 >\"$O.apart\" &\n" +
                             "while :; do wait; done >\"$O.worker\""});
        request.argv[0] = "sh";
        request.candidates = {"/bin/sh"};
        ASSERT_NE(mkdtemp(directory_), nullptr);
        request.envp = {"PATH=/usr/bin:/bin", "O=" + std::string(directory_) + "/o"};
        keeper_.spawn(1, request);
        worker_ = keeper_.spawned(1).pid;
        for (const char* name : {"own", "below", "apart"})
            ASSERT_TRUE(eventually([&] { return text(name).find("ready") != std::string::npos; })) << name;
    }
    void TearDown() override {
        for (const char* name : {"own", "below", "apart", "relay", "worker"})
            unlink((std::string(directory_) + "/o." + name).c_str());
        rmdir(directory_);
    }
    std::string text(const std::string& name) const {
        std::ifstream file(std::string(directory_) + "/o." + name);
        std::stringstream out;
        out << file.rdbuf();
        return out.str();
    }
    bool gets(const std::string& name) {
        return eventually([&] { return text(name).find("got") != std::string::npos; });
    }
    bool has(const std::string& name) const { return text(name).find("got") != std::string::npos; }
    pid_t pid_of(const std::string& name) const { return std::stoi(text(name).substr(6)); }

    Keeper keeper_;
    pid_t worker_ = 0;
    char directory_[32] = "/tmp/keeper_scope_XXXXXX";
};

TEST_F(Scopes, GroupIsTheProcessGroup) {
    keeper_.signal(1, SIGUSR1, Scope::Group);
    EXPECT_TRUE(gets("own"));
    EXPECT_TRUE(gets("below"));
    EXPECT_TRUE(gets("worker"));
    EXPECT_FALSE(has("apart"));
}

TEST_F(Scopes, TreeIsEverythingBelow) {
    keeper_.signal(1, SIGUSR1, Scope::Tree);
    for (const char* name : {"own", "below", "apart", "worker"}) EXPECT_TRUE(gets(name)) << name;
}

TEST_F(Scopes, ChildrenAreTheDirectOnes) {
    keeper_.signal(1, SIGUSR1, Scope::Children);
    EXPECT_TRUE(gets("own"));
    EXPECT_TRUE(gets("apart"));
    EXPECT_TRUE(gets("relay"));
    EXPECT_FALSE(has("below"));
    EXPECT_FALSE(has("worker"));
}

TEST_F(Scopes, OneChildCanBeNamed) {
    keeper_.signal(1, SIGUSR1, Scope::Children, false, pid_of("own"));
    EXPECT_TRUE(gets("own"));
    EXPECT_FALSE(has("apart"));
    EXPECT_FALSE(has("relay"));
}

TEST_F(Scopes, AGrandchildCannotBeNamedAsAChild) {
    keeper_.signal(1, SIGUSR1, Scope::Children, false, pid_of("below"));
    keeper_.signal(1, SIGUSR1, Scope::Children, false, pid_of("own"));
    EXPECT_TRUE(gets("own"));
    EXPECT_FALSE(has("below"));
}

TEST(Signal, ToAnIdThatIsGoneIsDropped) {
    Keeper keeper;
    keeper.spawn(1, probe({"exit", "0"}));
    keeper.spawned(1);
    keeper.exited(1);
    Output output;
    keeper.start(2, probe(counting(SIGUSR1)), output);
    ASSERT_GT(output.pid("ready"), 0);
    for (const Scope scope : {Scope::Process, Scope::Group, Scope::Tree, Scope::Children}) {
        keeper.signal(1, SIGUSR1, scope);
        keeper.signal(77, SIGKILL, scope);
    }
    keeper.signal(2, 1000);
    keeper.signal(2, -1);
    keeper.signal(2, SIGKILL);
    EXPECT_EQ(WTERMSIG(keeper.exited(2).status), SIGKILL);
    EXPECT_EQ(output.value("got"), "");
}

TEST(Caught, TellsTheSignalAndItsSender) {
    Keeper keeper;
    for (const int signo : {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTERM, SIGINT, SIGQUIT}) {
        kill(keeper.pid(), signo);
        const auto caught = keeper.receive(Kind::Caught).as<CaughtMessage>();
        EXPECT_EQ(caught.signo, signo);
        EXPECT_EQ(caught.sender_pid, getpid());
    }
}

TEST(Hello, NamesTheKeeperAndItsMark) {
    Keeper keeper;
    EXPECT_EQ(keeper.hello.keeper_pid, keeper.pid());
    EXPECT_EQ(keeper.hello.is_pid1, 0U);
    EXPECT_EQ(std::string(keeper.hello.instance).rfind(std::to_string(keeper.pid()) + "-", 0), 0U);
}

}  // namespace
}  // namespace circus::keeper
