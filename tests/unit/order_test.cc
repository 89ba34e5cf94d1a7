// In which order watchers start, whether one may, and what follows from the memory of its processes.
#include "model/order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/dependency.hpp"
#include "model/memory.hpp"

namespace circus::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Groups = std::vector<std::vector<std::size_t>>;

TEST(Order, IsByPriorityAndWithinOneAsGiven) {
    EXPECT_EQ(in_groups({{0, {}}, {10, {}}, {0, {}}, {10, {}}}), (Groups{{1, 3}, {0, 2}}));
    EXPECT_THAT(in_groups({}), IsEmpty());
}

TEST(Order, NobodyComesBeforeThoseItDependsOnWhateverThePriorities) {
    struct Row {
        std::vector<Ordered> all;
        Groups expected;
    };
    const std::vector<Row> rows = {
        {{{0, {1}}, {0, {}}}, {{1}, {0}}},
        {{{50, {1}}, {0, {}}, {20, {}}}, {{2}, {1}, {0}}},
        {{{0, {1, 2}}, {0, {2}}, {0, {}}}, {{2}, {1}, {0}}},
        {{{0, {2}}, {0, {2}}, {0, {}}, {0, {}}}, {{2, 3}, {0, 1}}},
    };
    for (const Row& row : rows) EXPECT_EQ(in_groups(row.all), row.expected);
}

TEST(Order, ACycleLosesNobody) {
    EXPECT_EQ(in_groups({{0, {}}, {0, {2}}, {0, {1}}}), (Groups{{0}, {1, 2}}));
}

TEST(Dependencies, AreMetByWhatWasReachedAndHopelessWhenNobodyWantsItAnyMore) {
    using G = DependencyGoal;
    using S = DependencyState;
    struct Row {
        G goal;
        Milestones reached;
        bool up, armed;
        S expected;
    };
    const std::vector<Row> rows = {
        {G::Started, {false, false, false}, true, false, S::Awaited},
        {G::Started, {true, false, false}, true, false, S::Met},
        {G::Ready, {true, false, false}, true, false, S::Awaited},
        {G::Ready, {true, true, false}, true, false, S::Met},
        {G::Ready, {true, true, true}, false, false, S::Met},  // it ran, and ended by itself
        {G::Ready, {false, false, false}, false, false, S::Hopeless},
        {G::Ready, {false, false, false}, false, true, S::Met},  // its sockets take connections
        {G::Completed, {true, true, false}, true, false, S::Awaited},
        {G::Completed, {true, true, true}, false, false, S::Met},
        {G::Completed, {true, true, false}, false, false, S::Hopeless},  // it failed
    };
    for (const Row& row : rows) EXPECT_EQ(state_of(row.goal, row.reached, row.up, row.armed), row.expected);
}

TEST(Memory, WhoIsOverMaxGoesAndOneOverSoftIsReplacedAtATime) {
    struct Row {
        std::vector<MemoryUse> uses;
        MemoryLimits limits;
        std::vector<std::size_t> kill;
        std::optional<std::size_t> replace;
    };
    const std::vector<Row> rows = {
        {{{90, false}, {100, false}}, {100, 200}, {}, {}},
        {{{101, false}, {150, false}}, {100, 200}, {}, 1},
        {{{101, false}, {150, true}}, {100, 200}, {}, {}},  // one is being replaced
        {{{101, false}, {201, false}}, {100, 200}, {1}, 0},
        {{{500, false}, {501, true}}, {0, 200}, {0, 1}, {}},
        {{{500, false}}, {100, 0}, {}, 0},
        {{{500, false}}, {0, 0}, {}, {}},
    };
    for (const Row& row : rows) {
        const MemoryVerdict verdict = judge(row.uses, row.limits);
        EXPECT_EQ(verdict.kill, row.kill);
        EXPECT_EQ(verdict.replace, row.replace);
    }
}

}  // namespace
}  // namespace circus::model
