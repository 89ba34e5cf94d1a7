// Why a process ended, and whether the kernel killed it: tables and counters, no process.
#include "model/death.hpp"

#include <csignal>

#include <gtest/gtest.h>

#include "model/oom.hpp"

namespace circus::model {
namespace {

DeathReason reason_of(const Reaped& reaped, Known oom = Known::No) {
    return judge_death(reaped, oom).reason;
}

TEST(Death, AnExitByItselfIsOne) {
    EXPECT_EQ(reason_of({.code = 0}), DeathReason::Exit);
    EXPECT_EQ(reason_of({.code = 3}), DeathReason::Exit);
}

TEST(Death, WhatCircusdWasEndingIsItsCausesDoing) {
    EXPECT_EQ(reason_of({.code = 0, .expected = true}), DeathReason::Asked);
    EXPECT_EQ(reason_of({.code = 1, .expected = true, .cause = EndCause::Age}), DeathReason::MaxAge);
    const Reaped memory{
        .code = -SIGKILL, .expected = true, .cause = EndCause::Memory, .sent = signal_bit(SIGKILL)};
    EXPECT_EQ(reason_of(memory), DeathReason::Memory);
    EXPECT_EQ(judge_death(memory, Known::No).ours, Known::Yes);
}

TEST(Death, ASignalThatWasSentAndMeantNoStopIsThatSignal) {
    EXPECT_EQ(reason_of({.code = -SIGUSR1, .sent = signal_bit(SIGUSR1)}), DeathReason::Signal);
}

TEST(Death, ASignalFromElsewhereIsNotOurs) {
    const auto verdict = judge_death({.code = -SIGTERM, .sent = signal_bit(SIGHUP)}, Known::No);
    EXPECT_EQ(verdict.reason, DeathReason::Killed);
    EXPECT_EQ(verdict.ours, Known::No);
}

TEST(Death, AStrangersKillDuringAStopIsTheStrangers) {
    const Reaped reaped{.code = -SIGKILL, .expected = true, .sent = signal_bit(SIGTERM)};
    EXPECT_EQ(reason_of(reaped), DeathReason::Killed);
    EXPECT_TRUE(may_be_oom(reaped));
}

TEST(Death, AFaultIsACrashAlsoDuringAStop) {
    EXPECT_EQ(reason_of({.code = -SIGSEGV}), DeathReason::Crash);
    EXPECT_EQ(reason_of({.code = -SIGABRT, .expected = true, .sent = signal_bit(SIGTERM)}),
              DeathReason::Crash);
}

TEST(Death, WhatAnArbiterBeforeMayHaveSentStaysOpen) {
    const auto verdict = judge_death({.code = -SIGTERM, .expected = true, .perhaps_sent = true}, Known::No);
    EXPECT_EQ(verdict.reason, DeathReason::Asked);
    EXPECT_EQ(verdict.ours, Known::Unknown);
}

TEST(Death, OnlyAForeignSigkillMayBeTheKernels) {
    EXPECT_TRUE(may_be_oom({.code = -SIGKILL}));
    EXPECT_FALSE(may_be_oom({.code = -SIGKILL, .sent = signal_bit(SIGKILL)}));
    EXPECT_FALSE(may_be_oom({.code = -SIGTERM}));
    EXPECT_FALSE(may_be_oom({.code = 9}));
    EXPECT_EQ(judge_death({.code = -SIGTERM}, Known::Yes).oom, Known::No);
    EXPECT_EQ(reason_of({.code = -SIGKILL}, Known::Yes), DeathReason::Oom);
    EXPECT_EQ(reason_of({.code = -SIGKILL}, Known::Unknown), DeathReason::Killed);
    EXPECT_EQ(judge_death({.code = -SIGKILL}, Known::Unknown).oom, Known::Unknown);
}

TEST(Death, TwoWhoMayHaveKilledItLeaveItOpen) {
    const auto verdict = judge_death({.code = -SIGKILL, .expected = true, .perhaps_sent = true}, Known::Yes);
    EXPECT_EQ(verdict.reason, DeathReason::Asked);
    EXPECT_EQ(verdict.oom, Known::Unknown);
}

TEST(OomLedger, ACounterThatDidNotGrowAcquits) {
    OomLedger ledger;
    ledger.refresh({3, 7});
    EXPECT_EQ(ledger.attribute({3, 7}, 1), Known::No);
}

TEST(OomLedger, AKillInTheWorkersGroupForEachVictimConvicts) {
    OomLedger ledger;
    ledger.refresh({3, 7});
    EXPECT_EQ(ledger.attribute({5, 9}, 2), Known::Yes);
    EXPECT_EQ(ledger.attribute({5, 9}, 1), Known::No) << "each kill is spoken for once";
}

TEST(OomLedger, AVictimThatIsHeardOfLaterHasItsKillStill) {
    OomLedger ledger;
    ledger.refresh({0, 0});
    EXPECT_EQ(ledger.attribute({2, 2}, 1), Known::Yes);
    ledger.refresh({2, 2});
    EXPECT_EQ(ledger.attribute({2, 2}, 1), Known::Yes);
}

TEST(OomLedger, FewerKillsThanVictimsLeaveItOpen) {
    OomLedger ledger;
    ledger.refresh({0, 0});
    EXPECT_EQ(ledger.attribute({1, 1}, 2), Known::Unknown);
}

TEST(OomLedger, AKillElsewhereOnTheMachineLeavesItOpen) {
    OomLedger ledger;
    ledger.refresh({0, 0});
    EXPECT_EQ(ledger.attribute({0, 1}, 1), Known::Unknown);
    OomLedger without_group;
    without_group.refresh({std::nullopt, 4});
    EXPECT_EQ(without_group.attribute({std::nullopt, 5}, 1), Known::Unknown);
    EXPECT_EQ(without_group.attribute({std::nullopt, 5}, 1), Known::No);
}

TEST(OomLedger, NobodyIsConvictedWithoutALookFromBefore) {
    OomLedger ledger;
    EXPECT_EQ(ledger.attribute({1, 1}, 1), Known::Unknown);
    OomLedger blind;
    blind.refresh({});
    EXPECT_EQ(blind.attribute({}, 1), Known::Unknown);
}

TEST(OomLedger, AKillFromBeforeTwoLooksIsNobodysAnyMore) {
    OomLedger ledger;
    ledger.refresh({0, 0});
    ledger.refresh({1, 1});
    ledger.refresh({1, 1});
    EXPECT_EQ(ledger.attribute({1, 1}, 1), Known::No);
}

}  // namespace
}  // namespace circus::model
