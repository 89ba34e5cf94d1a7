// Which connection had which descriptor when.
#include "loop/visits.hpp"

#include <gtest/gtest.h>

namespace circus::loop {
namespace {

sys::Peer user(uid_t uid) {
    return {.uid = uid};
}

struct VisitsTest : testing::Test {
    Visits visits;

    // As the doorman does when somebody waits to be let in.
    Visits::Ticket let_in() {
        visits.confirm(visits.now());
        return visits.now();
    }
    uid_t who(int fd, Visits::Ticket ticket) const {
        const sys::Peer* peer = visits.find(fd, ticket);
        return peer && peer->uid ? *peer->uid : static_cast<uid_t>(-1);
    }
    static constexpr auto kNobody = static_cast<uid_t>(-1);
};

TEST_F(VisitsTest, AMessageIsOfTheConnectionThatHadItsDescriptorThen) {
    visits.came(7, user(1000));
    const auto first = let_in();
    visits.left(7);
    visits.came(7, user(0));
    const auto second = let_in();
    EXPECT_EQ(who(7, first), 1000U);
    EXPECT_EQ(who(7, second), 0U);
}

TEST_F(VisitsTest, ATicketIsForNobodyWhoCameLater) {
    const auto early = visits.now();
    visits.came(7, user(0));
    let_in();
    EXPECT_EQ(who(7, early), kNobody);
    EXPECT_EQ(who(8, visits.now()), kNobody);
}

TEST_F(VisitsTest, WhoWasLookedAtAndLeftBeforeThatWasSureIsNotKnown) {
    visits.came(7, user(0));
    const auto seen = visits.now();
    visits.left(7);
    visits.confirm(seen);
    EXPECT_EQ(who(7, visits.now()), kNobody);
    EXPECT_EQ(who(7, seen), kNobody);
}

TEST_F(VisitsTest, WhoCameAfterTheLookIsNotConfirmedByIt) {
    visits.came(7, user(1));
    const auto seen = visits.now();
    visits.came(8, user(2));
    visits.confirm(seen);
    EXPECT_EQ(who(7, visits.now()), 1U);
    EXPECT_EQ(who(8, visits.now()), kNobody);
    EXPECT_EQ(who(8, let_in()), 2U);
}

TEST_F(VisitsTest, ADescriptorThatComesAgainWithoutHavingLeftIsAnother) {
    visits.came(7, user(1000));
    const auto first = let_in();
    visits.came(7, user(0));
    EXPECT_EQ(who(7, first), 1000U);
    EXPECT_EQ(who(7, visits.now()), kNobody);
    EXPECT_EQ(who(7, let_in()), 0U);
}

TEST_F(VisitsTest, OfThoseThatAreOverForLongNothingIsKept) {
    visits.came(7, user(1000));
    const auto first = let_in();
    for (int i = 0; i < 2000; ++i) {
        visits.came(7, user(0));
        let_in();
    }
    EXPECT_EQ(who(7, first), kNobody);
    EXPECT_EQ(who(7, visits.now()), 0U);
}

}  // namespace
}  // namespace circus::loop
