// A change of the socket table, on real sockets of the loopback.
#include "supervise/staged_sockets.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <gmock/gmock.h>

#include "fake_stack.hpp"
#include "supervise/spawn_plan.hpp"

namespace circus::supervise {
namespace {

struct StagedSocketsTest : testing::Test {
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/circus-staged-XXXXXX";
        directory = ::mkdtemp(pattern.data());
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    static config::SocketConfig tcp(const std::string& name, int port = 0) {
        config::SocketConfig socket;
        socket.name = name;
        socket.host = "127.0.0.1";
        socket.port = port;
        return socket;
    }
    config::SocketConfig local(const std::string& name, const std::string& file = "") const {
        config::SocketConfig socket;
        socket.name = name;
        socket.path = directory + "/" + (file.empty() ? name : file);
        socket.family = config::Family::Unix;
        return socket;
    }
    Result<StagedSockets> stage(const std::vector<config::SocketConfig>& next) {
        return StagedSockets::stage(table.present(), next);
    }
    void replace(const std::vector<config::SocketConfig>& next) {
        auto staged = stage(next);
        ASSERT_TRUE(staged) << staged.error().text;
        table.replace(std::move(*staged), keeper);
        table.move_files();
    }
    static bool can_connect(int port) {
        const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    static int connect_to(const std::string& path, int type) {
        const UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path.c_str());
        return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0
                                                                                                     : errno;
    }
    static bool shares_port(int fd) {
        int value = -1;
        socklen_t size = sizeof value;
        EXPECT_EQ(::getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &size), 0);
        return value != 0;
    }
    int port_of(const char* name) const { return table.find(name)->port; }
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }

    std::string directory;
    FakeKeeper keeper;
    SocketTable table;
};

// An arbiter that dies in a change, and the next one's table: from what was saved, and what the keeper holds.
struct TornChangeTest : StagedSocketsTest {
    // Holds duplicates.
    struct HoldingKeeper final : KeeperPort {
        void spawn(ChildId, const keeper::SpawnRequest&) override {}
        void signal(ChildId, int, keeper::Scope, pid_t, bool) override {}
        void hold(HoldId id, std::string_view, int fd) override {
            held[id] = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
        }
        void drop(HoldId id) override { dropped.push_back(id); }  // when what does not name it is saved
        std::map<HoldId, UniqueFd> held;
        std::vector<HoldId> dropped;
    };
    HoldingKeeper holding;

    void begin(const std::vector<config::SocketConfig>& sockets) {
        ASSERT_TRUE(table.bind(sockets, holding));
    }
    void put_in_place(const std::vector<config::SocketConfig>& next) {
        auto staged = stage(next);
        ASSERT_TRUE(staged) << staged.error().text;
        table.replace(std::move(*staged), holding);
    }
    void take_over(const Json& saved) {
        std::map<HoldId, UniqueFd> held;
        for (const auto& [id, fd] : holding.held) held[id] = UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
        table = SocketTable();
        const Status restored = table.restore(saved, std::move(held), holding);
        ASSERT_TRUE(restored) << restored.error().text;
        for (const HoldId id : std::exchange(holding.dropped, {})) holding.held.erase(id);
    }
    config::SocketConfig seqpacket(const std::string& name) const {
        auto socket = local(name);
        socket.type = config::SocketType::SeqPacket;
        return socket;
    }
};

TEST_F(TornChangeTest, BeforeItWasSavedItHasNotBeen) {
    begin({local("u"), local("gone")});
    const Json saved = table.saved();
    put_in_place({seqpacket("u"), local("new")});
    holding.dropped.clear();
    take_over(saved);
    EXPECT_EQ(connect_to(local("u").path, SOCK_STREAM), 0);
    EXPECT_EQ(connect_to(local("gone").path, SOCK_STREAM), 0);
    EXPECT_THAT(files(), testing::ElementsAre("gone", "u")) << "what was bound for it is gone";
    EXPECT_EQ(holding.held.size(), 2u);
}

TEST_F(TornChangeTest, OnceItWasSavedItIsBroughtToItsEnd) {
    begin({local("u"), local("gone")});
    put_in_place({seqpacket("u"), local("new")});
    holding.dropped.clear();
    take_over(table.saved());
    EXPECT_EQ(connect_to(local("u").path, SOCK_SEQPACKET), 0);
    EXPECT_EQ(connect_to(local("new").path, SOCK_STREAM), 0);
    EXPECT_THAT(files(), testing::ElementsAre("new", "u"));
    EXPECT_EQ(holding.held.size(), 2u);
}

TEST_F(TornChangeTest, WhatWasDoneOfItIsNotDoneAgain) {
    begin({local("u"), local("gone")});
    put_in_place({seqpacket("u")});
    const Json saved = table.saved();
    table.move_files();
    holding.dropped.clear();
    take_over(saved);
    EXPECT_EQ(connect_to(local("u").path, SOCK_SEQPACKET), 0);
    EXPECT_THAT(files(), testing::ElementsAre("u"));
    // Nor is there anything left to do for the one after it.
    std::filesystem::rename(local("u").path, local("gone").path);
    take_over(table.saved());
    EXPECT_THAT(files(), testing::ElementsAre("gone"));
}

TEST_F(StagedSocketsTest, WhatDoesNotChangeKeepsItsDescriptorItsHoldAndItsNumber) {
    ASSERT_TRUE(table.bind({tcp("a"), tcp("b"), tcp("c")}, keeper));
    const auto before = keeper.held;
    const int fd = table.find("c")->fd.get(), port = port_of("c");
    replace({tcp("new"), tcp("a"), tcp("c")});
    EXPECT_EQ(table.find("c")->fd.get(), fd);
    EXPECT_EQ(port_of("c"), port);
    EXPECT_EQ(table.find("a")->worker_fd, 3);
    EXPECT_EQ(table.find("c")->worker_fd, 5);
    EXPECT_EQ(table.find("new")->worker_fd, 4) << "the lowest that is free";
    EXPECT_EQ(table.find("b"), nullptr);
    EXPECT_EQ(table.all().front()->config.name, "new") << "in the order of the configuration";
    EXPECT_EQ(keeper.held.size(), 3u);
    EXPECT_TRUE(keeper.held.contains(table.find("c")->hold) && before.contains(table.find("c")->hold));
}

TEST_F(StagedSocketsTest, ARemovedSocketTakesNoConnectionAndItsFileIsGone) {
    ASSERT_TRUE(table.bind({tcp("a"), local("u")}, keeper));
    const int port = port_of("a");
    replace({});
    EXPECT_FALSE(can_connect(port));
    EXPECT_THAT(files(), testing::IsEmpty());
    EXPECT_TRUE(keeper.held.empty());
}

TEST_F(StagedSocketsTest, WhatIsStagedAndNotTakenIsUndone) {
    ASSERT_TRUE(table.bind({tcp("a"), local("u")}, keeper));
    const int port = port_of("a");
    {
        auto seqpacket = local("u");
        seqpacket.type = config::SocketType::SeqPacket;
        auto staged = stage({tcp("b", port), local("new"), seqpacket});
        ASSERT_TRUE(staged) << staged.error().text;
        EXPECT_THAT(files(), testing::ElementsAre("new", "u", "u.u.new"));
    }
    EXPECT_THAT(files(), testing::ElementsAre("u"));
    EXPECT_TRUE(can_connect(port));
    EXPECT_FALSE(shares_port(table.find("a")->fd.get())) << "shared to stage \"b\" only";
}

TEST_F(StagedSocketsTest, OneThatCannotBeBoundFailsAllAndNamesItself) {
    SocketTable other;
    ASSERT_TRUE(other.bind({tcp("taken")}, keeper));
    const int port = other.find("taken")->port;
    const auto staged = stage({local("first"), tcp("second", port)});
    ASSERT_FALSE(staged);
    EXPECT_THAT(staged.error().text, testing::StartsWith("[socket.second]: cannot bind 127.0.0.1:"));
    EXPECT_THAT(files(), testing::IsEmpty());
}

TEST_F(StagedSocketsTest, AnAddressMovesFromOneSocketToAnother) {
    ASSERT_TRUE(table.bind({tcp("a"), tcp("b")}, keeper));
    const int a = port_of("a"), b = port_of("b");
    replace({tcp("a", b), tcp("b", a)});
    EXPECT_EQ(port_of("a"), b);
    EXPECT_EQ(port_of("b"), a);
    EXPECT_TRUE(can_connect(a) && can_connect(b));
    EXPECT_FALSE(shares_port(table.find("a")->fd.get())) << "shared for the change only";
    EXPECT_FALSE(shares_port(table.find("b")->fd.get()));
}

TEST_F(StagedSocketsTest, TheSamePortOnAWiderAddressIsBoundBesideTheOldOne) {
    ASSERT_TRUE(table.bind({tcp("a")}, keeper));
    auto wide = tcp("a", port_of("a"));
    wide.host = "0.0.0.0";
    replace({wide});
    EXPECT_EQ(table.find("a")->host, "0.0.0.0");
    EXPECT_TRUE(can_connect(wide.port));
}

TEST_F(StagedSocketsTest, SoReuseportTurnsOnAndOffOnTheSamePort) {
    ASSERT_TRUE(table.bind({tcp("a")}, keeper));
    auto config = tcp("a", port_of("a"));
    config.so_reuseport = true;
    replace({config});
    ASSERT_TRUE(table.for_worker("a", "web", 1));
    ASSERT_TRUE(table.for_worker("a", "web", 2));
    EXPECT_TRUE(can_connect(config.port));
    config.so_reuseport = false;
    replace({config});
    EXPECT_TRUE(can_connect(config.port));
    EXPECT_EQ(keeper.held.size(), 1u);
}

TEST_F(StagedSocketsTest, AUnixSocketOfAnotherTypeTakesThePlaceOfItsFile) {
    ASSERT_TRUE(table.bind({local("u")}, keeper));
    auto seqpacket = local("u");
    seqpacket.type = config::SocketType::SeqPacket;
    replace({seqpacket});
    EXPECT_EQ(connect_to(seqpacket.path, SOCK_SEQPACKET), 0);
    EXPECT_THAT(files(), testing::ElementsAre("u"));
    EXPECT_EQ(table.find("u")->address, seqpacket.path);
}

TEST_F(StagedSocketsTest, APathMovesToASocketOfAnotherName) {
    ASSERT_TRUE(table.bind({local("old", "file")}, keeper));
    auto other = local("new", "file");
    other.backlog = 5;
    replace({other});
    EXPECT_EQ(connect_to(other.path, SOCK_STREAM), 0);
    EXPECT_THAT(files(), testing::ElementsAre("file"));
}

TEST_F(StagedSocketsTest, APathThatIsInUseByAKeptSocketIsAnError) {
    ASSERT_TRUE(table.bind({local("u")}, keeper));
    auto second = local("second", "u");
    second.replace = true;
    const auto staged = stage({local("u"), second});
    ASSERT_FALSE(staged);
    EXPECT_THAT(staged.error().text, testing::HasSubstr("it is the path of [socket.u]"));
    EXPECT_EQ(connect_to(second.path, SOCK_STREAM), 0);
}

TEST_F(StagedSocketsTest, ARenamedSocketGoesOn) {
    ASSERT_TRUE(table.bind({tcp("old")}, keeper));
    const int port = port_of("old");
    const int fd = table.find("old")->fd.get();
    auto renamed = tcp("new");
    replace({renamed});
    EXPECT_EQ(port_of("new"), port);
    EXPECT_EQ(table.find("new")->fd.get(), fd);
    EXPECT_EQ(table.find("old"), nullptr);
}

TEST_F(StagedSocketsTest, ModeAndBlockingChangeWithoutBindingAnew) {
    auto u = local("u");
    u.umask = 0177;
    ASSERT_TRUE(table.bind({tcp("a"), u}, keeper));
    const int fd = table.find("a")->fd.get();
    auto a = tcp("a");
    a.blocking = true;
    a.backlog = 7;
    u.umask = 0117;
    replace({a, u});
    EXPECT_EQ(table.find("a")->fd.get(), fd);
    EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    struct stat there {};
    ASSERT_EQ(::stat(u.path.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777, 0660u);
    u.umask.reset();
    const mode_t mask = ::umask(022);
    replace({a, u});
    ::umask(mask);
    ASSERT_EQ(::stat(u.path.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777, 0755u);
}

TEST_F(StagedSocketsTest, AWorkerThatNamesNoSocketFindsAllFromThreeWhateverTheirNumbers) {
    FakeStack stack;
    Stack shared{
        stack.keeper, stack.streams, stack.events, stack.clock, table, stack.config.circus, {}, {}, {}, {}};
    ASSERT_TRUE(table.bind({tcp("a"), tcp("b"), tcp("c")}, keeper));
    replace({tcp("a"), tcp("c")});
    config::WatcherConfig all, named;
    all.use_sockets = named.use_sockets = true;
    named.args = {"$(circus.sockets.c)"};
    const auto targets = [&](const config::WatcherConfig& config) {
        keeper::SpawnRequest request;
        EXPECT_TRUE(add_sockets(config, 1, shared, request));
        std::vector<int> numbers;
        for (const auto& move : request.fds) numbers.push_back(move.target);
        return numbers;
    };
    EXPECT_THAT(targets(all), testing::ElementsAre(3, 4));
    EXPECT_THAT(targets(named), testing::ElementsAre(5));
}

}  // namespace
}  // namespace circus::supervise
