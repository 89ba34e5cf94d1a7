#include "sys/signals.hpp"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sys/capture.hpp"
#include "sys/pidfd.hpp"

namespace circus::sys {
namespace {

TEST(ParseSignal, TakesNamesInAnyCaseAndNumbers) {
    EXPECT_EQ(parse_signal("TERM"), SIGTERM);
    EXPECT_EQ(parse_signal("sigterm"), SIGTERM);
    EXPECT_EQ(parse_signal(" SigKill "), SIGKILL);
    EXPECT_EQ(parse_signal("15"), SIGTERM);
    EXPECT_EQ(parse_signal("IOT"), SIGABRT);
}

TEST(ParseSignal, CountsRealtimeSignalsFromBothEnds) {
    EXPECT_EQ(parse_signal("SIGRTMIN+1"), SIGRTMIN + 1);
    EXPECT_EQ(parse_signal("rtmax-2"), SIGRTMAX - 2);
    EXPECT_EQ(parse_signal("rtmin"), SIGRTMIN);
    EXPECT_EQ(parse_signal("rtmin+999"), std::nullopt);
    EXPECT_EQ(parse_signal("rtmin-1"), std::nullopt);
    EXPECT_EQ(parse_signal("rtmax+1"), std::nullopt);
    EXPECT_EQ(parse_signal("rtmin+-1"), std::nullopt);
}

TEST(ParseSignal, RefusesWhatIsNoSignal) {
    for (const char* text : {"", "sig", "0", "-9", "65", "99999999999999999999", "KILLER", "9x", "SIG9"})
        EXPECT_EQ(parse_signal(text), std::nullopt) << text;
}

TEST(SignalName, IsReadBackAsTheSameNumber) {
    EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
    EXPECT_EQ(signal_name(SIGABRT), "SIGABRT");
    EXPECT_EQ(signal_name(SIGRTMIN + 1), "SIGRTMIN+1");
    for (int signo = 1; signo <= SIGRTMAX; ++signo) EXPECT_EQ(parse_signal(signal_name(signo)), signo);
}

TEST(Pidfd, SignalsAProcessAndSaysEsrchOnceItWasReaped) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0)
        for (;;) ::pause();
    auto fd = open_pidfd(child);
    ASSERT_TRUE(fd);
    EXPECT_EQ(signal_pidfd(fd->get(), SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(signal_pidfd(fd->get(), SIGKILL), ESRCH);
    EXPECT_EQ(open_pidfd(child).error().code, ESRCH);
}

TEST(Capture, HoldsWhatAChildWritesAndGrowsNoFurther) {
    auto capture = make_capture(10);
    ASSERT_TRUE(capture);
    EXPECT_EQ(read_capture(capture->get()), "");
    ASSERT_EQ(::write(capture->get(), "{\"a\": ", 6), 6);
    ASSERT_EQ(::write(capture->get(), "1}", 2), 2);
    EXPECT_EQ(read_capture(capture->get()), "{\"a\": 1}");
    EXPECT_EQ(read_capture(capture->get()), "{\"a\": 1}") << "reading takes nothing";
    EXPECT_EQ(::write(capture->get(), "more than fits", 14), -1);
    ASSERT_EQ(::write(capture->get(), " \n", 2), 2);
    EXPECT_EQ(::write(capture->get(), "x", 1), -1);
    EXPECT_EQ(read_capture(capture->get()), "{\"a\": 1} \n");
}

}  // namespace
}  // namespace circus::sys
