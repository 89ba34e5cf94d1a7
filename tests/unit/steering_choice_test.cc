#include <gmock/gmock.h>

#include "model/steering.hpp"

namespace circus::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr SlotService kServed{true, false}, kDead{false, false}, kLeaving{true, true}, kLeft{false, true};

TEST(SteeringChoice, WhoHasNobodyThatAcceptsIsNotChosen) {
    EXPECT_THAT(chosen_slots({kServed, kDead, kServed}), ElementsAre(0, 2));
}

TEST(SteeringChoice, WhoLeavesIsNotChosenThoughItAccepts) {
    EXPECT_THAT(chosen_slots({kServed, kServed, kLeaving, kLeft}), ElementsAre(0, 1));
}

TEST(SteeringChoice, WhereNobodyAcceptsTheyWaitForTheSuccessors) {
    EXPECT_THAT(chosen_slots({kDead, kLeaving, kDead}), ElementsAre(0, 2));
}

TEST(SteeringChoice, AGroupThatLeavesAsAWholeGetsThemToTheEnd) {
    EXPECT_THAT(chosen_slots({kLeaving, kLeft}), ElementsAre(0, 1));
    EXPECT_THAT(chosen_slots({}), IsEmpty());
}

TEST(SteeringChoice, APlaceThatIsFreeAgainIsTakenFirst) {
    EXPECT_EQ(free_place({}), 0u);
    EXPECT_EQ(free_place({3, 0, 1}), 2u);
    EXPECT_EQ(free_place({1, 0}), 2u);
}

}  // namespace
}  // namespace circus::model
