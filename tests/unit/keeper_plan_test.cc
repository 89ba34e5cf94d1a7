#include <cerrno>
#include <cstring>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "keeper/plan.hpp"
#include "keeper/plan_decode.hpp"
#include "keeper/wire.hpp"

namespace circus::keeper {
namespace {

// A copy that is aligned as the keeper's buffers are.
struct Aligned {
    explicit Aligned(const std::vector<std::byte>& from) : words((from.size() + 7) / 8), size(from.size()) {
        if (size > 0) std::memcpy(words.data(), from.data(), size);
    }
    std::span<std::byte> bytes() { return {reinterpret_cast<std::byte*>(words.data()), size}; }
    std::vector<std::uint64_t> words;
    std::size_t size;
};

SpawnRequest full_request() {
    SpawnRequest request;
    request.argv = {"web", "--port", "80", ""};
    request.envp = {"A=1", "B="};
    request.candidates = {"/usr/local/bin/web", "/usr/bin/web"};
    request.passed = {0, 1};
    request.fds = {{FdMove::From::Passed, 1, 1},
                   {FdMove::From::Held, 1ULL << 40U, 7},
                   {FdMove::From::Own, 2, 2},
                   {FdMove::From::Null, 0, 0}};
    request.rlimits = {{7, 100, 200}, {4, 0, ~0ULL}};
    request.groups = {5, 6, 7};
    request.uid = 1000;
    request.gid = 1001;
    request.umask = 027;
    request.nice = -5;
    request.oom_score_adj = -900;
    request.chroot = "/srv";
    request.working_dir = "/tmp";
    request.no_new_privs = true;
    request.stop_signal = 3;
    request.graceful_timeout_ms = 1234;
    request.kill_tree = false;
    return request;
}

std::vector<std::string> texts(char* const* list) {
    std::vector<std::string> out;
    for (; *list; ++list) out.emplace_back(*list);
    return out;
}

TEST(Plan, CarriesEveryPartOfTheRequest) {
    const SpawnRequest request = full_request();
    Aligned plan_bytes(encode_plan(request));
    Plan plan;
    ASSERT_EQ(decode_plan(plan_bytes.bytes(), 2, plan), 0);
    EXPECT_EQ(texts(plan.argv), request.argv);
    EXPECT_EQ(texts(plan.envp), request.envp);
    ASSERT_EQ(plan.candidates.size(), 2U);
    EXPECT_STREQ(plan.candidates[1], "/usr/bin/web");
    ASSERT_EQ(plan.moves.size(), 4U);
    EXPECT_EQ(plan.moves[1].source, 1ULL << 40U);
    EXPECT_EQ(plan.moves[1].target, 7);
    ASSERT_EQ(plan.rlimits.size(), 2U);
    EXPECT_EQ(plan.rlimits[1].hard, ~0ULL);
    EXPECT_EQ((std::vector<gid_t>(plan.groups.begin(), plan.groups.end())), request.groups);
    EXPECT_STREQ(plan.chroot, "/srv");
    EXPECT_STREQ(plan.working_dir, "/tmp");
}

TEST(Plan, CarriesTheScalarsAndWhichOfThemAreSet) {
    Aligned plan_bytes(encode_plan(full_request()));
    Plan plan;
    ASSERT_EQ(decode_plan(plan_bytes.bytes(), 2, plan), 0);
    EXPECT_EQ(plan.header.uid, 1000U);
    EXPECT_EQ(plan.header.gid, 1001U);
    EXPECT_EQ(plan.header.umask, 027U);
    EXPECT_EQ(plan.header.nice, -5);
    EXPECT_EQ(plan.header.oom_score_adj, -900);
    EXPECT_EQ(plan.header.stop_signal, 3);
    EXPECT_EQ(plan.header.graceful_timeout_ms, 1234U);
    EXPECT_TRUE(plan.has(PlanHeader::HasNoNewPrivs));
    EXPECT_FALSE(plan.has(PlanHeader::HasKillTree));
}

TEST(Plan, LeavesOutWhatIsNotSet) {
    SpawnRequest request;
    request.argv = {"x"};
    Aligned plan_bytes(encode_plan(request));
    Plan plan;
    ASSERT_EQ(decode_plan(plan_bytes.bytes(), 0, plan), 0);
    EXPECT_EQ(plan.header.flags, static_cast<std::uint32_t>(PlanHeader::HasKillTree));
    EXPECT_EQ(plan.envp[0], nullptr);
    EXPECT_EQ(plan.chroot, nullptr);
    EXPECT_EQ(plan.working_dir, nullptr);
    EXPECT_TRUE(plan.candidates.empty());
}

TEST(Plan, CutsATextAtItsFirstNul) {
    SpawnRequest request;
    request.argv = {std::string("a\0b", 3), "c"};
    Aligned plan_bytes(encode_plan(request));
    Plan plan;
    ASSERT_EQ(decode_plan(plan_bytes.bytes(), 0, plan), 0);
    EXPECT_EQ(texts(plan.argv), (std::vector<std::string>{"a", "c"}));
}

TEST(Plan, IsRefusedWhereverItIsCut) {
    const auto whole = encode_plan(full_request());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Aligned cut({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        Plan plan;
        ASSERT_NE(decode_plan(cut.bytes(), 2, plan), 0) << size;
    }
}

TEST(Plan, IsRefusedWithAnotherNumberOfDescriptors) {
    Aligned plan_bytes(encode_plan(full_request()));
    Plan plan;
    EXPECT_EQ(decode_plan(plan_bytes.bytes(), 1, plan), EINVAL);
}

TEST(Plan, IsRefusedWithARowThatNamesNothing) {
    const auto refuses = [](const std::function<void(SpawnRequest&)>& spoil) {
        SpawnRequest request = full_request();
        spoil(request);
        Aligned plan_bytes(encode_plan(request));
        Plan plan;
        return decode_plan(plan_bytes.bytes(), request.passed.size(), plan) != 0;
    };
    EXPECT_FALSE(refuses([](SpawnRequest&) {}));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.argv.clear(); }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.stop_signal = 0; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.stop_signal = 65; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.fds[0].source = 2; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.fds[0].target = -1; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.fds[0].target = kMaxTarget + 1; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.fds[2].source = 3; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.fds.resize(kMaxMoves + 1); }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.uid = ~0U; }));
    EXPECT_TRUE(refuses([](SpawnRequest& r) { r.gid = ~0U; }));
}

// Reads all that an accepted plan points to: under ASan a pointer that leaves the bytes is found.
std::size_t walk(const Plan& plan) {
    std::size_t sum = 0;
    for (auto* at = plan.argv; *at; ++at) sum += std::strlen(*at);
    for (auto* at = plan.envp; *at; ++at) sum += std::strlen(*at);
    for (const char* candidate : plan.candidates) sum += std::strlen(candidate);
    for (const auto& move : plan.moves) sum += move.source;
    for (const auto& limit : plan.rlimits) sum += limit.hard;
    for (const gid_t group : plan.groups) sum += group;
    if (plan.chroot) sum += std::strlen(plan.chroot);
    if (plan.working_dir) sum += std::strlen(plan.working_dir);
    return sum;
}

TEST(Plan, StaysInsideItsBytesWhateverTheySay) {
    const auto whole = encode_plan(full_request());
    std::mt19937 random(20240229);
    int accepted = 0, refused = 0;
    for (int round = 0; round < 200000; ++round) {
        auto spoiled = whole;
        for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
            // Mostly the header and the slots, where the counts and offsets are.
            const std::size_t reach = random() % 4 == 0 ? whole.size() : 160;
            const std::size_t at = random() % reach;
            spoiled[at] = static_cast<std::byte>(random() % 3 == 0 ? 0xffU : random());
        }
        Aligned bytes(spoiled);
        Plan plan;
        if (decode_plan(bytes.bytes(), 2, plan) == 0) {
            ++accepted;
            walk(plan);
        } else {
            ++refused;
        }
    }
    EXPECT_GT(accepted, 1000);
    EXPECT_GT(refused, 100000);
}

TEST(Plan, PureGarbageIsRefused) {
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::byte> garbage(random() % 512);
        for (auto& byte : garbage) byte = static_cast<std::byte>(random());
        Aligned bytes(garbage);
        Plan plan;
        ASSERT_NE(decode_plan(bytes.bytes(), 0, plan), 0);
    }
}

TEST(SpawnStage, HasAName) {
    EXPECT_STREQ(to_string(SpawnStage::Rlimit), "setting rlimit");
    EXPECT_STREQ(to_string(SpawnStage::Exec), "exec");
    EXPECT_STREQ(to_string(SpawnStage::WorkingDir), "changing to the working directory");
}

}  // namespace
}  // namespace circus::keeper
