#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>

#include "keeper_harness.hpp"

namespace circus::keeper {
namespace {

constexpr uid_t kNobody = 65534;

// Runs "report" under the keeper and returns its lines by key. `id`: one that has not been used.
std::map<std::string, std::string> report_of(Keeper& keeper, SpawnRequest request, ChildId id = 1) {
    Output output;
    keeper.start(id, std::move(request), output);
    std::map<std::string, std::string> out;
    std::istringstream lines(output.all());
    for (std::string line; std::getline(lines, line);) {
        const auto end = std::min(line.find_first_of(" :\t="), line.size());
        const auto value = std::min(line.find_first_not_of(" :\t=", end), line.size());
        out[line.substr(0, end)] = line.substr(value);
    }
    EXPECT_EQ(keeper.exited(id).status, 0);
    return out;
}

SpawnRequest report() {
    return probe({"report"});
}

TEST(Spawn, GivesArgumentsAndEnvironmentAndNothingElse) {
    Keeper keeper;
    SpawnRequest request = report();
    request.argv.push_back("two words");
    request.envp = {"NAME=value", "EMPTY="};
    auto seen = report_of(keeper, request);
    EXPECT_EQ(seen["argv.0"], "probe");
    EXPECT_EQ(seen["argv.2"], "two words");
    EXPECT_EQ(seen["env.NAME"], "value");
    EXPECT_EQ(seen["env.EMPTY"], "");
    EXPECT_EQ(seen["env.CIRCUS_INSTANCE"], keeper.mark(1));
    EXPECT_EQ(seen.count("env.PATH"), 0U);
}

TEST(Spawn, CompletesListenPidWithThePidOfTheChild) {
    Keeper keeper;
    SpawnRequest request = report();
    request.envp = {"BEFORE=1", kListenPid, "AFTER=2"};
    auto seen = report_of(keeper, request);
    EXPECT_EQ(seen["env.LISTEN_PID"], seen["pid"]);
    EXPECT_EQ(seen["env.BEFORE"], "1");
    EXPECT_EQ(seen["env.AFTER"], "2");
}

TEST(Spawn, StartsASessionWithCleanSignals) {
    Keeper keeper;
    auto seen = report_of(keeper, report());
    EXPECT_EQ(seen["sid"], seen["pid"]);
    EXPECT_EQ(seen["pgid"], seen["pid"]);
    EXPECT_EQ(seen["SigBlk"], "0000000000000000");
    EXPECT_EQ(seen["SigIgn"], "0000000000000000");
}

// What is open in that process, by number.
std::map<int, std::string> open_in(pid_t pid) {
    std::map<int, std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
        out[std::stoi(entry.path().filename())] = std::filesystem::read_symlink(entry.path());
    return out;
}

class SpawnDescriptors : public testing::TestWithParam<bool> {
  protected:
    static Keeper::Options options() {
        Keeper::Options options;
        options.reserves = GetParam();
        return options;
    }
};
INSTANTIATE_TEST_SUITE_P(SetAsideOrNot, SpawnDescriptors, testing::Bool());

TEST_P(SpawnDescriptors, AreThoseOfThePlanAlone) {
    Keeper keeper(options());
    const UniqueFd held(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
    keeper.hold(5, held.get());
    const UniqueFd passed(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    SpawnRequest request = report();
    request.passed = {passed.get()};
    request.fds = {{FdMove::From::Passed, 0, 9}, {FdMove::From::Held, 5, 4}, {FdMove::From::Null, 0, 0}};
    auto seen = report_of(keeper, request);
    EXPECT_EQ(seen["fd.9"], "/etc/passwd");
    EXPECT_EQ(seen["fd.4"], "/etc/hosts");
    EXPECT_EQ(seen["fd.0"], "/dev/null");
    std::set<std::string> fds;
    for (const auto& [key, value] : seen)
        if (key.rfind("fd.", 0) == 0) fds.insert(key);
    EXPECT_EQ(fds, (std::set<std::string>{"fd.0", "fd.1", "fd.2", "fd.4", "fd.9"}));
}

TEST(Spawn, KnowsADescriptorNoMoreOnceItWasDropped) {
    Keeper keeper;
    const UniqueFd file(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
    keeper.hold(5, file.get());
    DropMessage drop;
    drop.id = 5;
    keeper.send(&drop, sizeof drop);
    SpawnRequest request = report();
    request.fds = {{FdMove::From::Held, 5, 4}};
    keeper.spawn(1, request);
    const auto failed = keeper.spawn_failed(1);
    EXPECT_EQ(failed.stage, SpawnStage::Decode);
    EXPECT_EQ(failed.error, EBADF);
}

// The keeper receives them on low numbers: sources and targets are the same few, crosswise.
TEST_P(SpawnDescriptors, MayBeInEachOthersWay) {
    Keeper keeper(options());
    const char* const paths[] = {"/etc/hosts", "/etc/passwd", "/etc/group", "/etc/fstab"};
    for (int shift = 1; shift < 12; ++shift) {
        std::vector<UniqueFd> files;
        SpawnRequest request = report();
        for (int i = 0; i < 4; ++i) {
            files.emplace_back(open(paths[i], O_RDONLY | O_CLOEXEC));
            request.passed.push_back(files.back().get());
            request.fds.push_back(
                {FdMove::From::Passed, static_cast<std::uint64_t>(i), 3 + (i * 5 + shift) % 12});
        }
        auto seen = report_of(keeper, request, static_cast<ChildId>(shift));
        for (int i = 0; i < 4; ++i)
            EXPECT_EQ(seen["fd." + std::to_string(3 + (i * 5 + shift) % 12)], paths[i]) << shift;
    }
}

// More than there are numbers set aside, and some where these are themselves.
TEST_P(SpawnDescriptors, MayBeManyAndHigh) {
    Keeper keeper(options());
    const UniqueFd hosts(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
    const UniqueFd passwd(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    SpawnRequest request = report();
    request.passed = {hosts.get(), passwd.get()};
    for (int i = 0; i < 40; ++i)
        request.fds.push_back({FdMove::From::Passed, static_cast<std::uint64_t>(i % 2), 3 + i * 2});
    auto seen = report_of(keeper, request);
    for (int i = 0; i < 40; ++i)
        EXPECT_EQ(seen["fd." + std::to_string(3 + i * 2)], i % 2 == 0 ? "/etc/hosts" : "/etc/passwd") << i;
    EXPECT_EQ(std::count_if(seen.begin(), seen.end(),
                            [](const auto& each) { return each.first.rfind("fd.", 0) == 0; }),
              43);
}

TEST_P(SpawnDescriptors, DoNotStayWithTheKeeper) {
    Keeper keeper(options());
    const auto before = open_in(keeper.pid());
    const UniqueFd file(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
    SpawnRequest request = report();
    request.passed = {file.get()};
    request.fds = {{FdMove::From::Passed, 0, 9}, {FdMove::From::Own, 2, 8}};
    report_of(keeper, request);
    request.candidates = {"/nowhere"};
    keeper.spawn(2, request);
    EXPECT_EQ(keeper.spawn_failed(2).stage, SpawnStage::Exec);
    EXPECT_EQ(open_in(keeper.pid()), before);
}

// With so few descriptors there are none to set aside.
TEST(Spawn, WorksWithFewDescriptors) {
    Keeper::Options options;
    options.nofile = 40;
    Keeper keeper(options);
    const UniqueFd file(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
    SpawnRequest request = report();
    request.passed = {file.get()};
    request.fds = {{FdMove::From::Passed, 0, 9}};
    EXPECT_EQ(report_of(keeper, request)["fd.9"], "/etc/hosts");
}

TEST(Spawn, SwapsTheDaemonsOwnOutputs) {
    Keeper keeper;
    SpawnRequest request = report();
    request.fds = {{FdMove::From::Own, 2, 8}, {FdMove::From::Own, 1, 2}, {FdMove::From::Own, 0, 7}};
    char own[256] = {};
    ASSERT_GT(readlink("/proc/self/fd/1", own, sizeof own - 1), 0);
    auto seen = report_of(keeper, request);
    EXPECT_EQ(seen["fd.2"], own);
    EXPECT_EQ(seen.count("fd.7"), 1U);
}

TEST(Spawn, SetsTheSettingsOfTheProcess) {
    Keeper keeper;
    SpawnRequest request = report();
    request.umask = 027;
    request.nice = 3;
    request.oom_score_adj = 500;
    request.no_new_privs = true;
    request.working_dir = "/usr";
    request.rlimits = {{RLIMIT_NOFILE, 10, 300}, {RLIMIT_CORE, 0, 0}};
    auto seen = report_of(keeper, request);
    EXPECT_EQ(seen["umask"], "027");
    EXPECT_EQ(seen["nice"], "3");
    EXPECT_EQ(seen["oom"], "500");
    EXPECT_EQ(seen["no_new_privs"], "1");
    EXPECT_EQ(seen["cwd"], "/usr");
    EXPECT_EQ(seen["nofile"], "10 300");
    EXPECT_EQ(seen["core"], "0 0");
}

TEST(Spawn, ChangesNothingOfTheKeeperItself) {
    Keeper keeper;
    const auto of_keeper = [&](const char* file) {
        std::ifstream in("/proc/" + std::to_string(keeper.pid()) + "/" + file);
        std::stringstream out;
        out << in.rdbuf();
        return out.str();
    };
    const auto limits = of_keeper("limits");
    const auto oom = of_keeper("oom_score_adj");
    struct stat before {
    }, after{};
    const std::string environ_path = "/proc/" + std::to_string(keeper.pid()) + "/environ";
    ASSERT_EQ(stat(environ_path.c_str(), &before), 0);
    SpawnRequest request = report();
    request.umask = 027;
    request.nice = 3;
    request.oom_score_adj = 500;
    request.working_dir = "/usr";
    request.rlimits = {{RLIMIT_NOFILE, 10, 300}};
    report_of(keeper, request);
    EXPECT_EQ(of_keeper("limits"), limits);
    EXPECT_EQ(of_keeper("oom_score_adj"), oom);
    EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(keeper.pid())), getpriority(PRIO_PROCESS, 0));
    ASSERT_EQ(stat(environ_path.c_str(), &after), 0);
    EXPECT_EQ(after.st_uid, before.st_uid);
}

TEST(Spawn, ChangesAllThreeIdsAndTheGroups) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    Keeper keeper;
    SpawnRequest request =
        probe({"-c", "echo $(id -u) $(id -g) $(id -G); grep -E '^(Uid|Gid)' /proc/self/status"});
    request.argv[0] = "sh";
    request.candidates = {"/bin/sh"};
    request.envp = {"PATH=/usr/bin:/bin"};
    request.uid = 65534;
    request.gid = 12345;
    request.groups = {12345, 777};
    Output output;
    keeper.start(1, request, output);
    EXPECT_EQ(output.all(),
              "65534 12345 12345 777\nUid:\t65534\t65534\t65534\t65534\nGid:\t12345\t12345\t12345\t12345\n");
    EXPECT_EQ(keeper.exited(1).status, 0);
}

TEST(Spawn, ChangesTheRoot) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    char root[] = "/tmp/keeper_root_XXXXXX";
    ASSERT_NE(mkdtemp(root), nullptr);
    Keeper keeper;
    SpawnRequest request = probe({"exit", "0"});
    request.chroot = root;
    keeper.spawn(1, request);
    const auto failed = keeper.spawn_failed(1);  // the program is not in there
    EXPECT_EQ(failed.stage, SpawnStage::Exec);
    EXPECT_EQ(failed.error, ENOENT);
    rmdir(root);

    SpawnRequest whole = report();
    whole.chroot = "/";
    EXPECT_EQ(report_of(keeper, whole)["cwd"], "/");
}

TEST(Spawn, TakesAPlanOf200KilobytesByMemfd) {
    Keeper keeper;
    Output output;
    SpawnRequest request = report();
    request.envp = {"LONG=" + std::string(100000, 'x'), "LONGER=" + std::string(100000, 'y'), "END=1"};
    request.passed = {output.write_end()};
    request.fds = {{FdMove::From::Passed, 0, 1}};
    keeper.spawn_by_memfd(1, request);
    output.close_write_end();
    keeper.spawned(1);
    const std::string seen = output.all();
    EXPECT_NE(seen.find("env.LONG=" + std::string(100000, 'x') + "\n"), std::string::npos);
    EXPECT_NE(seen.find("env.LONGER=" + std::string(100000, 'y') + "\nenv.END=1\n"), std::string::npos);
    EXPECT_EQ(keeper.exited(1).status, 0);
}

TEST(Spawn, TriesTheCandidatesInOrder) {
    Keeper keeper;
    SpawnRequest request = probe({"exit", "7"});
    request.candidates = {"/nowhere/probe", "/etc/passwd/probe", "/etc/passwd", KEEPER_PROBE};
    keeper.spawn(1, request);
    keeper.spawned(1);
    EXPECT_EQ(WEXITSTATUS(keeper.exited(1).status), 7);
}

TEST(Spawn, HandsOverAPidfdOfTheChild) {
    Keeper keeper;
    keeper.spawn(1, probe({"stay"}));
    const Message message = keeper.receive(Kind::Spawned);
    ASSERT_TRUE(message.fd);
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(message.fd.get()));
    std::stringstream text;
    text << info.rdbuf();
    EXPECT_NE(text.str().find("Pid:\t" + std::to_string(message.as<SpawnedMessage>().pid) + "\n"),
              std::string::npos);
    keeper.signal(1, SIGKILL);
    EXPECT_EQ(WTERMSIG(keeper.exited(1).status), SIGKILL);
}

struct Failure {
    const char* name;
    std::function<void(SpawnRequest&)> spoil;
    SpawnStage stage;
    int error;
    int detail = 0;
    bool as_user = false;  // with uid and gid of nobody, which also takes the way of separate memory
};

TEST(Spawn, NamesTheStageThatFailed) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const std::vector<Failure> failures = {
        {"held",
         [](auto& r) {
             r.fds = {{FdMove::From::Held, 99, 6}};
         },
         SpawnStage::Decode, EBADF, 6},
        {"plan", [](auto& r) { r.stop_signal = 0; }, SpawnStage::Decode, EINVAL},
        {"rlimit",
         [](auto& r) {
             r.rlimits = {{RLIMIT_NOFILE, 20, 10}};
         },
         SpawnStage::Rlimit, EINVAL, RLIMIT_NOFILE},
        {"oom", [](auto& r) { r.oom_score_adj = 5000; }, SpawnStage::OomScore, EINVAL},
        {"chroot", [](auto& r) { r.chroot = "/nowhere"; }, SpawnStage::Chroot, ENOENT},
        {"cwd", [](auto& r) { r.working_dir = "/nowhere"; }, SpawnStage::WorkingDir, ENOENT},
        {"cwd file", [](auto& r) { r.working_dir = "/etc/hosts"; }, SpawnStage::WorkingDir, ENOTDIR, 0, true},
        {"groups", [](auto& r) { r.groups.assign(70000, 1), r.gid = 1; }, SpawnStage::Groups, EINVAL},
        {"descriptors",
         [](auto& r) {
             r.fds = {{FdMove::From::Null, 0, 5000}};
         },
         SpawnStage::Descriptors, EINVAL, 5000},
        {"none", [](auto& r) { r.candidates.clear(); }, SpawnStage::Exec, ENOENT},
        {"missing", [](auto& r) { r.candidates = {"/nowhere"}; }, SpawnStage::Exec, ENOENT, 0, true},
        {"forbidden",
         [](auto& r) {
             r.candidates = {"/etc/passwd", "/nowhere"};
         },
         SpawnStage::Exec, EACCES},
        {"too long", [](auto& r) { r.argv.push_back(std::string(200000, 'x')); }, SpawnStage::Exec, E2BIG},
    };
    Keeper keeper({.nofile = 1000});
    ChildId id = 0;
    for (const auto& failure : failures) {
        SpawnRequest request = probe({"exit", "0"});
        failure.spoil(request);
        if (failure.as_user) request.uid = request.gid = kNobody;
        ++id;
        if (encode_plan(request).size() > kMaxDatagram / 2)
            keeper.spawn_by_memfd(id, request);
        else
            keeper.spawn(id, request);
        const auto failed = keeper.spawn_failed(id);
        EXPECT_EQ(failed.stage, failure.stage) << failure.name;
        EXPECT_EQ(failed.error, failure.error) << failure.name << ": " << std::strerror(failed.error);
        EXPECT_EQ(failed.detail, failure.detail) << failure.name;
    }
    EXPECT_FALSE(keeper.has_children());  // no zombie of any of them
}

TEST(Spawn, NamesWhatAnUnprivilegedDaemonMayNotDo) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    Keeper keeper({.nofile = 1000, .user = kNobody});
    auto stage_of = [&, id = ChildId{0}](const std::function<void(SpawnRequest&)>& spoil) mutable {
        SpawnRequest request;
        request.argv = {"true"};
        request.candidates = {"/bin/true"};
        spoil(request);
        keeper.spawn(++id, request);
        return keeper.spawn_failed(id).stage;
    };
    EXPECT_EQ(stage_of([](auto& r) { r.rlimits = {{RLIMIT_NOFILE, 2000, 2000}}; }), SpawnStage::Rlimit);
    EXPECT_EQ(stage_of([](auto& r) { r.nice = -20; }), SpawnStage::Nice);
    EXPECT_EQ(stage_of([](auto& r) { r.chroot = "/"; }), SpawnStage::Chroot);
    EXPECT_EQ(stage_of([](auto& r) { r.uid = 0; }), SpawnStage::Groups);
    EXPECT_EQ(stage_of([](auto& r) { r.candidates = {"/etc/shadow"}; }), SpawnStage::Exec);
}

TEST(Spawn, LetsAnUnprivilegedDaemonNameItself) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    Keeper keeper({.user = kNobody});
    SpawnRequest request;
    request.argv = {"true"};
    request.candidates = {"/bin/true"};
    request.uid = request.gid = kNobody;
    request.groups = {kNobody};
    keeper.spawn(1, request);
    keeper.spawned(1);
    EXPECT_EQ(keeper.exited(1).status, 0);
}

TEST(Spawn, SaysWhenTheChildBeganIfThatIsCertain) {
    Keeper keeper;
    int told = 0;
    for (ChildId id = 1; id <= 30; ++id) {
        keeper.spawn(id, probe({"stay"}));
        const auto spawned = keeper.spawned(id);
        if (spawned.start_ticks == 0) continue;  // a tick began meanwhile
        ++told;
        ProcessStat stat;
        ASSERT_TRUE(read_stat(spawned.pid, stat));
        EXPECT_EQ(spawned.start_ticks, stat.start_ticks);
    }
    EXPECT_GT(told, 0);
}

TEST(Spawn, IsRefusedBehindTheSpawnsBeforeIt) {
    Keeper keeper;
    for (const ChildId id : {1, 2, 2, 3}) keeper.spawn(id, probe({"stay"}));
    keeper.spawned(1);
    keeper.spawned(2);
    EXPECT_EQ(keeper.spawn_failed(2).error, EEXIST);
    keeper.spawned(3);
}

TEST(Spawn, RefusesAnIdThatIsTaken) {
    Keeper keeper;
    keeper.spawn(1, probe({"stay"}));
    const pid_t pid = keeper.spawned(1).pid;
    keeper.spawn(1, probe({"stay"}));
    EXPECT_EQ(keeper.spawn_failed(1).error, EEXIST);
    EXPECT_TRUE(is_alive(pid));
}

TEST(Spawn, AnswersAPlanThatIsGarbage) {
    Keeper keeper;
    keeper.spawn_bytes(1, std::vector<std::byte>(500, std::byte{0x5a}));
    EXPECT_EQ(keeper.spawn_failed(1).stage, SpawnStage::Decode);
    keeper.spawn_bytes(2, {});
    EXPECT_EQ(keeper.spawn_failed(2).stage, SpawnStage::Decode);
}

TEST(Spawn, SurvivesDatagramsThatAreNoMessages) {
    Keeper keeper;
    keeper.send("x", 1);
    const std::vector<char> junk(3000, 'j');
    keeper.send(junk.data(), junk.size());
    Header header{kWireMagic, Kind::Signal};
    keeper.send(&header, sizeof header);
    header.kind = static_cast<Kind>(4711);
    keeper.send(&header, sizeof header);
    keeper.spawn(1, probe({"exit", "0"}));
    keeper.spawned(1);
    keeper.exited(1);
}

TEST(Exited, CarriesStatusAndUsage) {
    Keeper keeper;
    keeper.spawn(1, probe({"exit", "42"}));
    keeper.spawned(1);
    const auto plain = keeper.exited(1);
    EXPECT_TRUE(WIFEXITED(plain.status));
    EXPECT_EQ(WEXITSTATUS(plain.status), 42);

    keeper.spawn(2, probe({"burn", "60"}));
    keeper.spawned(2);
    const auto burnt = keeper.exited(2);
    EXPECT_GE(burnt.usage.ru_utime.tv_sec * 1000000 + burnt.usage.ru_utime.tv_usec, 60000);
    EXPECT_GE(burnt.usage.ru_maxrss, 40 * 1024);

    keeper.spawn(3, probe({"die", std::to_string(SIGUSR1)}));
    keeper.spawned(3);
    EXPECT_EQ(WTERMSIG(keeper.exited(3).status), SIGUSR1);
}

TEST(Exited, NeverPrecedesSpawned) {
    Keeper keeper;
    for (ChildId id = 1; id <= 50; ++id) keeper.spawn(id, probe({"exit", "0"}));
    std::set<ChildId> started, ended;
    while (ended.size() < 50) {
        const Message message = keeper.next(10000);
        if (message.kind == Kind::Spawned) {
            started.insert(message.as<SpawnedMessage>().id);
        } else {
            ASSERT_EQ(message.kind, Kind::Exited);
            const ChildId id = message.as<ExitedMessage>().id;
            EXPECT_TRUE(started.count(id));
            EXPECT_TRUE(ended.insert(id).second);
        }
    }
}

// The keeper's socket is made small, so that it is full long before the last of them.
TEST(Telling, LosesNothingToAnArbiterThatDoesNotRead) {
    Keeper keeper({.small_buffer = true});
    for (ChildId id = 1; id <= 100; ++id)
        keeper.spawn(id, probe({id % 3 == 0 ? "nothing" : "exit", std::to_string(id % 50)}));
    ASSERT_TRUE(eventually([&] { return !keeper.has_unread() && !keeper.has_children(); }));
    kill(keeper.pid(), SIGHUP);
    std::map<ChildId, int> spawned, exited;
    bool caught = false;
    while (exited.size() < 100 || !caught) {
        const Message message = keeper.next(10000);
        if (message.kind == Kind::Caught)
            caught = true;
        else if (message.kind == Kind::Spawned) {
            EXPECT_TRUE(message.fd);
            ++spawned[message.as<SpawnedMessage>().id];
        } else {
            ASSERT_EQ(message.kind, Kind::Exited);
            const auto exit = message.as<ExitedMessage>();
            EXPECT_EQ(spawned.count(exit.id), 1U);
            EXPECT_EQ(WEXITSTATUS(exit.status), exit.id % 3 == 0 ? 99 : static_cast<int>(exit.id % 50));
            ++exited[exit.id];
        }
    }
    EXPECT_EQ(spawned.size(), 100U);
    EXPECT_EQ(keeper.next(50).kind, Kind{});
}

}  // namespace
}  // namespace circus::keeper
