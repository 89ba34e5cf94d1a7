#include "keeper_harness.hpp"

namespace circus::keeper {
namespace {

// A worker with descendants of every kind: they ignore TERM, the worker does not.
struct Family {
    Family(Keeper& keeper, ChildId id, bool kill_tree = true) {
        SpawnRequest request = probe({"family"});
        request.kill_tree = kill_tree;
        worker = keeper.start(id, request, output);
        EXPECT_EQ(output.pid("ready"), worker);
        for (const char* kind : {"child", "grandchild", "sessioned", "orphan", "daemon"}) {
            members.push_back(output.pid(kind));
            EXPECT_TRUE(is_alive(members.back())) << kind;
        }
    }
    bool all_alive() const {
        for (const pid_t pid : members)
            if (!is_alive(pid)) return false;
        return true;
    }
    bool any_alive() const {
        for (const pid_t pid : members)
            if (is_alive(pid)) return true;
        return false;
    }
    Output output;
    pid_t worker = 0;
    std::vector<pid_t> members;
};

TEST(Sweep, HasEndedWhatAStoppedWorkerLeftWhenExitedIsTold) {
    Keeper keeper;
    const Family family(keeper, 1);
    keeper.signal(1, SIGTERM, Scope::Process, true);
    EXPECT_EQ(WTERMSIG(keeper.exited(1).status), SIGTERM);
    EXPECT_FALSE(family.any_alive());
    EXPECT_TRUE(eventually([&] { return !keeper.has_children(); }));
}

TEST(Sweep, WaitsForOneThatEndsToSeeWhatItLeaves) {
    Keeper keeper;
    Output output;
    keeper.start(1, probe({"leave"}), output);
    const pid_t leaving = output.pid("leaving");
    const pid_t daemon = output.pid("daemon");
    ASSERT_TRUE(eventually([&] { return read_mark(leaving, keeper.hello.instance) == 0; }));
    keeper.signal(1, SIGTERM, Scope::Process, true);
    keeper.exited(1);
    EXPECT_TRUE(eventually([&] { return !is_alive(daemon); }));
    EXPECT_TRUE(eventually([&] { return !keeper.has_children(); }));
}

TEST(Sweep, FollowsAnUnexpectedDeath) {
    Keeper keeper;
    const Family family(keeper, 1);
    kill(family.worker, SIGKILL);
    EXPECT_EQ(WTERMSIG(keeper.exited(1).status), SIGKILL);
    EXPECT_TRUE(eventually([&] { return !family.any_alive(); }));
    EXPECT_TRUE(eventually([&] { return !keeper.has_children(); }));
}

TEST(Sweep, LeavesTheDescendantsOfOtherWorkersAlone) {
    Keeper keeper;
    const Family staying(keeper, 1);
    const Family leaving(keeper, 2);
    keeper.signal(2, SIGTERM, Scope::Process, true);
    keeper.exited(2);
    EXPECT_TRUE(eventually([&] { return !leaving.any_alive(); }));
    EXPECT_TRUE(staying.all_alive());
    EXPECT_TRUE(is_alive(staying.worker));
}

TEST(Sweep, LeavesWhatIsNotToBeKilledUntilTheEnd) {
    Keeper keeper;
    const Family kept(keeper, 1, false);
    keeper.signal(1, SIGTERM, Scope::Process, true);
    keeper.exited(1);
    const Family swept(keeper, 2);  // its sweep looks at the kept ones too
    keeper.signal(2, SIGTERM, Scope::Process, true);
    keeper.exited(2);
    EXPECT_TRUE(eventually([&] { return !swept.any_alive(); }));
    EXPECT_TRUE(kept.all_alive());
    keeper.exit(0);
    EXPECT_EQ(keeper.wait_exit(), 0);
    EXPECT_FALSE(kept.any_alive());
}

TEST(Sweep, KillOfATreeEndsAllOfIt) {
    Keeper keeper;
    const Family family(keeper, 1);
    keeper.signal(1, SIGKILL, Scope::Tree);
    EXPECT_EQ(WTERMSIG(keeper.exited(1).status), SIGKILL);
    EXPECT_TRUE(eventually([&] { return !family.any_alive(); }));
}

TEST(Sweep, EndsDescendantsThatForkWhileTheyAreKilled) {
    Keeper keeper;
    Output output;
    keeper.start(1, probe({"flood"}), output);
    ASSERT_GT(output.pid("ready"), 0);
    ASSERT_TRUE(eventually([&] { return keeper.has_children(); }));
    keeper.signal(1, SIGKILL, Scope::Process, true);
    keeper.exited(1);
    EXPECT_TRUE(eventually([&] { return !keeper.has_children(); }));
}

TEST(Sweep, ReapsStrangersSilently) {
    Keeper keeper;
    SpawnRequest request = probe({"-c", "(sleep 0.01 &); (sleep 0.02 &); exec sleep 100"});
    request.argv[0] = "sh";
    request.candidates = {"/bin/sh"};
    request.envp = {"PATH=/usr/bin:/bin"};
    keeper.spawn(1, request);
    const pid_t worker = keeper.spawned(1).pid;
    EXPECT_TRUE(eventually([&] {
        std::ifstream file("/proc/" + std::to_string(keeper.pid()) + "/task/" + std::to_string(keeper.pid()) +
                           "/children");
        std::string all;
        std::getline(file, all);
        return all == std::to_string(worker) + " ";
    }));
    EXPECT_EQ(keeper.next(0).kind, Kind{});
}

TEST(Sweep, AMassStopIsSweptInBatches) {
    constexpr ChildId kWorkers = 60;
    Keeper keeper;
    for (ChildId id = 1; id <= kWorkers; ++id) {
        SpawnRequest request = probe({"-c", "sleep 1000 & exec sleep 1000"});
        request.argv[0] = "sh";
        request.candidates = {"/bin/sh"};
        request.envp = {"PATH=/usr/bin:/bin"};
        keeper.spawn(id, request);
        keeper.spawned(id);
    }
    for (ChildId id = 1; id <= kWorkers; ++id) keeper.signal(id, SIGTERM, Scope::Process, true);
    for (ChildId id = 1; id <= kWorkers; ++id) keeper.receive(Kind::Exited);
    EXPECT_TRUE(eventually([&] { return !keeper.has_children(); }));
}

}  // namespace
}  // namespace circus::keeper
