// Files that are rotated by time, that are watched, and old files that are compressed.
#include <array>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <regex>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>
#include <utime.h>
#include <zlib.h>

#include "base/text.hpp"
#include "stream/schedule.hpp"
#include "stream_fixture.hpp"

namespace circus::stream {
namespace {

// ---- schedules ----

struct ScheduleTest : testing::Test {
    ScheduleTest() { use_zone("CET-1CEST,M3.5.0,M10.5.0/3"); }
    ~ScheduleTest() override { use_zone(""); }
    static void use_zone(const char* zone) {
        if (*zone)
            setenv("TZ", zone, 1);
        else
            unsetenv("TZ");
        tzset();
    }
    static time_t local(const char* text) {
        tm parts{};
        strptime(text, "%Y-%m-%d %H:%M:%S", &parts);
        parts.tm_isdst = -1;
        return mktime(&parts);
    }
    static std::string shown(time_t moment) {
        tm parts{};
        localtime_r(&moment, &parts);
        char text[32];
        return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
    }
    struct Case {
        const char *when, *moment, *begin, *end, *suffix;
        int interval = 1;
    };
};

TEST_F(ScheduleTest, PeriodsBeginOnTheFullUnitOfTheLocalClock) {
    const std::array cases{
        Case{"S", "2026-11-26 10:37:12", "2026-11-26 10:37:12", "2026-11-26 10:37:13", "20261126103712"},
        Case{"m", "2026-11-26 10:37:12", "2026-11-26 10:37:00", "2026-11-26 10:38:00", "202611261037"},
        Case{"M", "2026-11-26 10:37:12", "2026-11-26 10:30:00", "2026-11-26 10:45:00", "202611261030", 15},
        Case{"H", "2026-11-26 10:37:12", "2026-11-26 10:00:00", "2026-11-26 11:00:00", "2026112610"},
        Case{"H", "2026-11-26 10:37:12", "2026-11-26 06:00:00", "2026-11-26 12:00:00", "2026112606", 6},
        Case{"D", "2026-11-26 10:37:12", "2026-11-26 00:00:00", "2026-11-27 00:00:00", "20261126"},
        Case{"midnight", "2026-11-26 23:59:59", "2026-11-26 00:00:00", "2026-11-27 00:00:00", "20261126"},
        Case{"MIDNIGHT", "2026-11-27 00:00:00", "2026-11-27 00:00:00", "2026-11-28 00:00:00", "20261127"},
        // A Thursday. W3 is over when Thursday is, W2 was over when it began.
        Case{"W3", "2026-11-26 10:37:12", "2026-11-20 00:00:00", "2026-11-27 00:00:00", "20261120"},
        Case{"W2", "2026-11-26 10:37:12", "2026-11-26 00:00:00", "2026-12-03 00:00:00", "20261126"},
        Case{"W6", "2026-11-26 10:37:12", "2026-11-23 00:00:00", "2026-11-30 00:00:00", "20261123"},
        Case{"W0", "2026-11-23 12:00:00", "2026-11-17 00:00:00", "2026-11-24 00:00:00", "20261117"},
        // The days on which the clock is changed have 23 and 25 hours.
        Case{"D", "2026-03-29 12:00:00", "2026-03-29 00:00:00", "2026-03-30 00:00:00", "20260329"},
        Case{"D", "2026-10-25 12:00:00", "2026-10-25 00:00:00", "2026-10-26 00:00:00", "20261025"},
    };
    for (const Case& each : cases) {
        const auto schedule = Schedule::make(each.when, each.interval, false);
        ASSERT_TRUE(schedule) << each.when;
        const auto period = schedule->period_of(local(each.moment));
        EXPECT_EQ(shown(period.begin), each.begin) << each.when << " " << each.moment;
        EXPECT_EQ(shown(period.end), each.end) << each.when << " " << each.moment;
        EXPECT_EQ(schedule->suffix(period.begin), each.suffix);
        EXPECT_TRUE(schedule->is_suffix(each.suffix));
        EXPECT_TRUE(period.holds(local(each.moment)));
    }
}

TEST_F(ScheduleTest, EachMomentOfAYearIsInItsPeriodAndTheNextPeriodFollowsAtOnce) {
    for (const char* when : {"H", "D", "W1"}) {
        for (const int interval : {1, 3}) {
            const auto schedule = Schedule::make(when, interval, false);
            for (time_t moment = local("2026-01-01 00:00:00"); moment < local("2027-01-01 00:00:00");
                 moment += 2711) {
                const auto period = schedule->period_of(moment);
                ASSERT_TRUE(period.holds(moment)) << when << interval << " " << shown(moment);
                ASSERT_TRUE(schedule->period_of(period.end).holds(period.end));
            }
        }
    }
}

TEST_F(ScheduleTest, UtcGoesByItsOwnDays) {
    const auto schedule = Schedule::make("D", 1, true);
    const time_t moment = local("2026-11-27 00:30:00");  // 23:30 of the day before
    EXPECT_EQ(schedule->suffix(schedule->period_of(moment).begin), "20261126");
    EXPECT_EQ(schedule->period_of(moment).end % 86400, 0);
}

TEST_F(ScheduleTest, OtherWordsAreNone) {
    for (const char* when : {"", "X", "W7", "W", "W10", "midnigh"})
        EXPECT_FALSE(Schedule::make(when, 1, false)) << when;
    EXPECT_FALSE(Schedule::make("H", 1, false)->is_suffix("20261126"));
    EXPECT_FALSE(Schedule::make("D", 1, false)->is_suffix("2026112x"));
}

// ---- files ----

std::string gunzip(const std::string& path) {
    gzFile file = gzopen(path.c_str(), "rb");
    if (!file) return "(none)";
    std::string text;
    char buffer[8192];
    int n = 0;
    while ((n = gzread(file, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(n));
    gzclose(file);
    return n < 0 ? "(broken)" : text;
}

std::string numbered(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += cat("line ", i, " ", std::string(static_cast<size_t>(i * 13 % 80), 'x'), "\n");
    return text;
}

struct RotationTest : StreamTest {
    StreamSpec timed(const char* when, int backups = 0) const {
        StreamSpec spec = file("log");
        spec.class_name = "TimedRotatingFileStream";
        spec.rotate_when = when;
        spec.backup_count = backups;
        spec.utc = true;
        return spec;
    }
    StreamSpec packed(std::uint64_t max_bytes, int backups) const {
        StreamSpec spec = file("log");
        spec.max_bytes = max_bytes;
        spec.backup_count = backups;
        spec.compress = true;
        return spec;
    }
    StreamSpec watched() const {
        StreamSpec spec = file("log");
        spec.class_name = "WatchedFileStream";
        return spec;
    }
    std::string path(const std::string& name) const { return directory + "/" + name; }
    // As if it had been written then.
    void write_file(const std::string& name, const std::string& text, time_t when) const {
        std::ofstream(path(name)) << text;
        const utimbuf times{when, when};
        utime(path(name).c_str(), &times);
    }
    std::set<std::string> files() const {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            names.insert(entry.path().filename());
        return names;
    }
    static std::string day_of(time_t moment) {
        const auto schedule = Schedule::make("D", 1, true);
        return schedule->suffix(schedule->period_of(moment).begin);
    }
};

constexpr time_t kDay = 86400;

TEST_F(RotationTest, WhatWasWrittenYesterdayIsRotatedUnderItsDay) {
    const time_t yesterday = time(nullptr) - kDay;
    write_file("log", "old\n", yesterday);
    run(timed("MIDNIGHT"), "new\n");
    EXPECT_EQ(slurp(path("log")), "new\n");
    EXPECT_EQ(slurp(path("log." + day_of(yesterday))), "old\n");
}

TEST_F(RotationTest, AnEmptyFileIsNotWorthABackup) {
    write_file("log", "", time(nullptr) - kDay);
    run(timed("MIDNIGHT"), "new\n");
    EXPECT_EQ(files(), std::set<std::string>{"log"});
}

TEST_F(RotationTest, AClockThatWasSetBackKeepsTheFileAndLosesNothing) {
    write_file("log", "from the future\n", time(nullptr) + 400 * kDay);
    run(timed("MIDNIGHT"), "new\n");
    EXPECT_EQ(slurp(path("log")), "from the future\nnew\n");
    EXPECT_EQ(files(), std::set<std::string>{"log"});
}

TEST_F(RotationTest, ANameThatIsTakenIsNotOverwritten) {
    const time_t yesterday = time(nullptr) - kDay;
    write_file("log." + day_of(yesterday), "first\n", yesterday);
    write_file("log", "second\n", yesterday);
    run(timed("MIDNIGHT"), "new\n");
    EXPECT_EQ(slurp(path("log." + day_of(yesterday))), "first\n");
    EXPECT_EQ(slurp(path("log." + day_of(yesterday) + ".1")), "second\n");
}

TEST_F(RotationTest, TheOldestGoFirstAndWhatOnlyLooksAlikeStays) {
    const time_t yesterday = time(nullptr) - kDay;
    for (const char* name : {"log.20200101", "log.20200102", "log.20200102.1", "log.20200103.gz"})
        write_file(name, "old\n", yesterday);
    write_file("log.2020010", "not ours\n", yesterday);
    write_file("log.20200101.bak", "not ours\n", yesterday);
    write_file("log", "yesterday\n", yesterday);
    run(timed("D", 3), "new\n");
    EXPECT_EQ(files(), (std::set<std::string>{"log", "log." + day_of(yesterday), "log.20200103.gz",
                                              "log.20200102.1", "log.2020010", "log.20200101.bak"}));
}

TEST_F(RotationTest, EachSecondGetsAFileAndNoLineIsLost) {
    StreamSpec spec = timed("S");
    auto worker = spawn(spec, [](int fd) {
        for (int i = 0; i < 25; ++i) {
            write_all(fd, cat("line ", i, "\n"));
            usleep(100'000);
        }
    });
    EXPECT_TRUE(reap(*worker));
    std::string text;
    std::set<std::string> names = files();
    names.erase("log");
    EXPECT_GE(names.size(), 2u);
    for (const auto& name : names) {
        EXPECT_TRUE(std::regex_match(name, std::regex(R"(log\.\d{14})"))) << name;
        text += slurp(path(name));
    }
    text += slurp(path("log"));
    std::string expected;
    for (int i = 0; i < 25; ++i) expected += cat("line ", i, "\n");
    EXPECT_EQ(text, expected);
}

// ---- watched files ----

TEST_F(RotationTest, AWatchedFileIsOpenedAnewWhenItWasRenamed) {
    int go[2];
    ASSERT_EQ(pipe(go), 0);
    auto worker = spawn(watched(), [&](int fd) {
        char byte;
        write_all(fd, "old\n");
        if (read(go[0], &byte, 1) == 1) write_all(fd, "new\n");
        pause();
    });
    ASSERT_TRUE(wait_until([&] { return slurp(path("log")) == "old\n"; }));
    std::filesystem::rename(path("log"), path("log.old"));
    ASSERT_EQ(write(go[1], "x", 1), 1);
    EXPECT_TRUE(wait_until([&] { return slurp(path("log")) == "new\n"; }));
    EXPECT_EQ(slurp(path("log.old")), "old\n");
    kill(worker->pid, SIGKILL);
    EXPECT_TRUE(reap(*worker));
    close(go[0]);
    close(go[1]);
}

TEST_F(RotationTest, ARenameUnderABusyWriterLosesNoLineAndTearsNone) {
    const std::string text = numbered(60'000);
    auto worker = spawn(watched(), text);
    int moved = 0;
    EXPECT_TRUE(wait_until([&] {
        std::error_code ignored;
        std::filesystem::rename(path("log"), path(cat("log.", moved)), ignored);
        if (!ignored) ++moved;
        return is_reaped(*worker) && worker->is_drained;
    }));
    std::string got;
    for (int i = 0; i < moved; ++i) got += slurp(path(cat("log.", i)));
    got += slurp(path("log"));
    EXPECT_EQ(got, text);
    EXPECT_TRUE(troubles.empty());
}

TEST_F(RotationTest, AWatchedFileThatWasRemovedWithItsFolderComesBackWithIt) {
    StreamSpec spec = watched();
    spec.filename = path("sub/log");
    std::filesystem::create_directory(path("sub"));
    run(spec, "lost with its folder\n");
    std::filesystem::remove_all(path("sub"));
    run(spec, "kept meanwhile\n");
    EXPECT_TRUE(wait_until([&] { return begun() == 1; }));
    std::filesystem::create_directory(path("sub"));
    EXPECT_TRUE(wait_until([&] { return ended() == 1; }));
    EXPECT_EQ(troubles[1].lost_bytes, 0u);
    EXPECT_EQ(slurp(spec.filename), "kept meanwhile\n");
}

TEST_F(RotationTest, AFileThatIsNotWatchedIsLeftAloneUntilItIsAskedFor) {
    run(file("log"), "one\n");
    std::filesystem::rename(path("log"), path("log.old"));
    run(file("log"), "two\n");
    EXPECT_EQ(slurp(path("log.old")), "one\ntwo\n");
    std::filesystem::remove(path("log.old"));
    streams->reopen_files();
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(path("log")); }));
}

// ---- compression ----

TEST_F(RotationTest, OldFilesAreCompressedAndNoByteIsLost) {
    const std::string text = numbered(4000);
    run(packed(20'000, 50), text);
    const auto all_packed = [&] {
        for (const auto& name : files())
            if (name != "log" && !name.ends_with(".gz")) return false;
        return true;
    };
    EXPECT_TRUE(wait_until(all_packed));
    std::string got;
    for (int i = 50; i > 0; --i)
        if (std::filesystem::exists(path(cat("log.", i, ".gz")))) got += gunzip(path(cat("log.", i, ".gz")));
    EXPECT_EQ(got + slurp(path("log")), text);
    EXPECT_GT(files().size(), 5u);
    EXPECT_TRUE(troubles.empty());
}

TEST_F(RotationTest, NoMoreCompressedFilesAreKeptThanBackupCountSays) {
    const std::string text = numbered(6000);
    run(packed(20'000, 3), text);
    EXPECT_TRUE(wait_until([&] {
        return files() == std::set<std::string>{"log", "log.1.gz", "log.2.gz", "log.3.gz"};
    }));
    const std::string got =
        gunzip(path("log.3.gz")) + gunzip(path("log.2.gz")) + gunzip(path("log.1.gz")) + slurp(path("log"));
    EXPECT_GT(got.size(), 50'000u);
    EXPECT_TRUE(text.ends_with(got));
}

TEST_F(RotationTest, WhatAnArbiterThatDiedLeftBehindIsReadableAndDoneAgain) {
    // Killed before the rename: half of a gzip file beside its whole original.
    std::ofstream(path("log.1")) << "whole\n";
    std::ofstream(path("log.gz.tmp")) << "\x1f\x8b half";
    // Killed behind the rename: both are there.
    std::ofstream(path("log.2")) << "twice\n";
    std::ofstream(path("log.2.gz")) << "(the same, compressed)";
    chmod(path("log.1").c_str(), 0600);
    run(packed(20'000, 5), "now\n");
    EXPECT_TRUE(wait_until([&] { return files() == std::set<std::string>{"log", "log.1.gz", "log.2.gz"}; }));
    EXPECT_EQ(gunzip(path("log.1.gz")), "whole\n");
    EXPECT_EQ(gunzip(path("log.2.gz")), "twice\n");
    EXPECT_EQ(slurp(path("log")), "now\n");
    struct stat about {};
    ASSERT_EQ(stat(path("log.1.gz").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0600u);
}

TEST_F(RotationTest, AFileByDateIsCompressedUnderItsName) {
    const time_t yesterday = time(nullptr) - kDay;
    write_file("log", "old\n", yesterday);
    StreamSpec spec = timed("D", 5);
    spec.compress = true;
    run(spec, "new\n");
    const std::string name = "log." + day_of(yesterday) + ".gz";
    EXPECT_TRUE(wait_until([&] { return files() == std::set<std::string>{"log", name}; }));
    EXPECT_EQ(gunzip(path(name)), "old\n");
}

TEST_F(RotationTest, WhatCannotBeCompressedStaysAndIsToldOnce) {
    // A directory in the place of the unfinished file, which nobody can replace by one.
    std::filesystem::create_directories(path("log.gz.tmp/in the way"));
    run(packed(1'000, 5), numbered(100));
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_NE(troubles[0].text.find("log.gz.tmp"), std::string::npos) << troubles[0].text;
    EXPECT_TRUE(std::filesystem::exists(path("log.1")));
    std::filesystem::remove_all(path("log.gz.tmp"));
    run(packed(1'000, 5), numbered(100));
    EXPECT_TRUE(wait_until([&] { return ended() == 1; }));
}

TEST_F(RotationTest, LeavingDoesNotWaitForACompression) {
    std::ofstream big(path("log.1"));
    for (int i = 0; i < 3'000'000; ++i) big << i * 7919LL << "\n";
    big.close();
    const auto size = std::filesystem::file_size(path("log.1"));
    run(packed(1'000'000, 3), "x\n");
    const TimePoint begin = Monotonic::now();
    streams.reset();
    EXPECT_LT(Monotonic::now() - begin, std::chrono::seconds(5));
    // Whatever it had come to: the original, or all of it compressed.
    EXPECT_TRUE(!std::filesystem::exists(path("log.1")) || std::filesystem::file_size(path("log.1")) == size);
    EXPECT_TRUE(wait_until([&] { return !std::filesystem::exists(path("log.gz.tmp")); }));
}

}  // namespace
}  // namespace circus::stream
