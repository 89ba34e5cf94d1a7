#include <fcntl.h>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "keeper/table.hpp"

namespace circus::keeper {
namespace {

TEST(ChildTable, FindsWhatAMapFinds) {
    auto table = std::make_unique<ChildTable>();
    std::unordered_map<ChildId, pid_t> model;
    std::vector<ChildId> ids;
    std::mt19937 random(1);
    ChildId next = 1;
    for (int round = 0; round < 50000; ++round) {
        if (ids.empty() || random() % 2 == 0) {
            const ChildId id = next++;
            const auto pid = static_cast<pid_t>(2 + id * 7 % 32749);
            if (table->by_pid(pid)) continue;
            Child* const child = table->acquire(id);
            ASSERT_NE(child, nullptr);
            table->set_pid(*child, pid);
            model[id] = pid;
            ids.push_back(id);
        } else {
            std::swap(ids[random() % ids.size()], ids.back());
            table->release(*table->by_id(ids.back()));
            EXPECT_EQ(table->by_pid(model[ids.back()]), nullptr);
            model.erase(ids.back());
            EXPECT_EQ(table->by_id(ids.back()), nullptr);
            ids.pop_back();
        }
    }
    EXPECT_EQ(table->running(), model.size());
    for (const auto& [id, pid] : model) {
        ASSERT_NE(table->by_id(id), nullptr);
        EXPECT_EQ(table->by_id(id), table->by_pid(pid));
    }
}

TEST(ChildTable, IsFullAtItsSizeAndReusesWhatIsReleased) {
    auto table = std::make_unique<ChildTable>();
    for (ChildId id = 1; id <= kMaxChildren; ++id) ASSERT_NE(table->acquire(id), nullptr);
    EXPECT_EQ(table->acquire(kMaxChildren + 1), nullptr);
    table->release(*table->by_id(77));
    EXPECT_NE(table->acquire(kMaxChildren + 1), nullptr);
}

TEST(ChildTable, ForgetsAPidOnceItWasReapedAndKeepsTheId) {
    auto table = std::make_unique<ChildTable>();
    Child& first = *table->acquire(1);
    table->set_pid(first, 100);
    table->clear_pid(first);
    Child& second = *table->acquire(2);
    table->set_pid(second, 100);
    EXPECT_EQ(table->by_pid(100), &second);
    EXPECT_EQ(table->by_id(1), &first);
}

TEST(ChildTable, QueuesInOrder) {
    auto table = std::make_unique<ChildTable>();
    ChildTable::Untold untold;
    ChildTable::Unswept unswept;
    for (ChildId id = 1; id <= 3; ++id) {
        table->push(untold, *table->acquire(id));
        table->push(unswept, *table->by_id(id));
    }
    for (ChildId id = 1; id <= 3; ++id) {
        ASSERT_NE(table->front(untold), nullptr);
        EXPECT_EQ(table->front(untold)->id, id);
        table->pop(untold);
    }
    EXPECT_EQ(table->front(untold), nullptr);
    EXPECT_EQ(table->front(unswept)->id, 1U);
}

TEST(HeldTable, OwnsWhatItHolds) {
    auto table = std::make_unique<HeldTable>();
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_TRUE(table->hold(9, UniqueFd(fd), "x"));
    EXPECT_EQ(table->find(9), fd);
    table->drop(9);
    EXPECT_EQ(table->find(9), -1);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(HeldTable, RefusesAKnownIdAndClosesTheDescriptor) {
    auto table = std::make_unique<HeldTable>();
    EXPECT_TRUE(table->hold(9, UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)), "x"));
    const int second = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_FALSE(table->hold(9, UniqueFd(second), "x"));
    EXPECT_EQ(fcntl(second, F_GETFD), -1);
    table->drop(9);
}

TEST(GoneRing, KnowsTheNewestOwnerOfAPid) {
    auto ring = std::make_unique<GoneRing>();
    EXPECT_EQ(ring->by_pid(5), nullptr);
    ring->add({1, 5, true});
    ring->add({2, 5, false});
    EXPECT_EQ(ring->by_pid(5)->id, 2U);
    EXPECT_TRUE(ring->by_id(1)->kill_tree);
    for (ChildId id = 3; id < 10000; ++id) ring->add({id, 6, true});
    EXPECT_EQ(ring->by_id(1), nullptr);
    EXPECT_EQ(ring->by_id(9999)->pid, 6);
}

}  // namespace
}  // namespace circus::keeper
