#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "stream_fixture.hpp"

namespace circus::stream {
namespace {

struct FileTest : StreamTest {
    StreamSpec rotating(std::uint64_t max_bytes, int backups) const {
        StreamSpec spec = file("log");
        spec.max_bytes = max_bytes;
        spec.backup_count = backups;
        return spec;
    }
    // Oldest first.
    std::string all_files(int backups) const {
        std::string text;
        for (int i = backups; i > 0; --i) text += slurp(directory + cat("/log.", i));
        return text + slurp(directory + "/log");
    }
    size_t count_files() const {
        return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
    }
};

std::string lines_of_many_lengths(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += cat(i, ":", std::string(static_cast<size_t>(i * 37 % 400), 'x'), "\n");
    return text;
}

TEST_F(FileTest, RotationLosesNoByteAndKeepsBelowTheLimit) {
    const std::string text = lines_of_many_lengths(2000);
    run(rotating(10'000, 100), text);
    EXPECT_EQ(all_files(100), text);
    EXPECT_GT(count_files(), text.size() / 10'000);
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        EXPECT_LT(entry.file_size(), 10'000u) << entry.path();
        EXPECT_TRUE(slurp(entry.path()).ends_with("\n")) << entry.path();
    }
}

TEST_F(FileTest, RotationOfAWorkerThatWritesLineByLineIsTheSame) {
    const std::string text = lines_of_many_lengths(1000);
    auto worker = spawn(rotating(10'000, 100), [&](int fd) {
        for (const auto& line : split(text.substr(0, text.size() - 1), '\n')) write_all(fd, line + "\n");
    });
    EXPECT_TRUE(reap(*worker));
    EXPECT_EQ(all_files(100), text);
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        EXPECT_LT(entry.file_size(), 10'000u);
}

TEST_F(FileTest, NoMoreThanBackupCountFilesAreKept) {
    const std::string text = lines_of_many_lengths(2000);
    run(rotating(10'000, 3), text);
    EXPECT_EQ(count_files(), 4u);
    const std::string kept = all_files(3);
    EXPECT_GT(kept.size(), 25'000u);
    EXPECT_TRUE(text.ends_with(kept));
}

TEST_F(FileTest, ALineLongerThanTheLimitIsNotTorn) {
    const std::string text = "short\n" + std::string(500, 'x') + "\nshort again\n";
    run(rotating(100, 5), text);
    EXPECT_EQ(slurp(directory + "/log.2"), "short\n");
    EXPECT_EQ(slurp(directory + "/log.1"), std::string(500, 'x') + "\n");
    EXPECT_EQ(slurp(directory + "/log"), "short again\n");
}

TEST_F(FileTest, WithoutBackupsThereIsNoRotation) {
    const std::string text = lines_of_many_lengths(100);
    run(rotating(1000, 0), text);
    EXPECT_EQ(slurp(directory + "/log"), text);
}

TEST_F(FileTest, ARotationThatCannotRenameLosesNothingAndGoesOnWhereItStood) {
    // Given a directory in the place of the last backup, so that .1 cannot become .2.
    std::filesystem::create_directories(directory + "/log.2/in the way");
    std::ofstream(directory + "/log.1") << "the backup before\n";
    const std::string text = lines_of_many_lengths(50);
    run(rotating(10'000, 2), text.substr(0, 5'000));
    run(rotating(10'000, 2), text.substr(5'000) + std::string(8'000, 'x') + "\n");
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_NE(troubles[0].text.find("cannot rename"), std::string::npos);
    const std::string grown = slurp(directory + "/log");
    EXPECT_GT(grown.size(), 10'000u);
    // When the way is free.
    std::filesystem::remove_all(directory + "/log.2");
    EXPECT_TRUE(wait_until([&] { return ended() == 1; }));
    EXPECT_EQ(troubles[1].lost_bytes, 0u);
    EXPECT_EQ(slurp(directory + "/log.2"), "the backup before\n");
    EXPECT_EQ(slurp(directory + "/log.1"), grown);
    EXPECT_EQ(slurp(directory + "/log"), "");
}

TEST_F(FileTest, AMissingDirectoryIsTriedAgainUntilItIsThere) {
    StreamSpec spec = file("later/log");
    auto worker = spawn(spec, "kept meanwhile\n");
    EXPECT_TRUE(reap(*worker));
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    std::filesystem::create_directory(directory + "/later");
    EXPECT_TRUE(wait_until([&] { return ended() == 1; }));
    EXPECT_EQ(slurp(spec.filename), "kept meanwhile\n");
    EXPECT_EQ(begun(), 1);
    EXPECT_EQ(troubles[1].lost_bytes, 0u);
}

TEST_F(FileTest, AFullDeviceHoldsUpNobodyAndIsReportedOnce) {
    StreamSpec spec;
    spec.filename = "/dev/full";
    const std::string text = lines_of_many_lengths(30'000);  // far more than pipe and backlog
    run(spec, text);
    EXPECT_EQ(begun(), 1);
    run(file("log"), "other sinks go on\n");
    EXPECT_EQ(slurp(directory + "/log"), "other sinks go on\n");
    EXPECT_FALSE(streams->shutdown(std::chrono::milliseconds(200)));
    EXPECT_EQ(begun(), 1);
}

TEST_F(FileTest, AFullDiskCostsWholeLinesOnlyAndTheCountIsExact) {
    const std::string disk = directory + "/disk";
    std::filesystem::create_directory(disk);
    if (mount("none", disk.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "needs the right to mount";
    StreamSpec spec = file("disk/log");
    const std::string text = lines_of_many_lengths(20'000);  // about 4 MB
    run(spec, text);
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_EQ(mount("none", disk.c_str(), "tmpfs", MS_REMOUNT, "size=20m"), 0);
    EXPECT_TRUE(wait_until([&] { return ended() == 1; }));
    const std::string got = slurp(spec.filename);
    EXPECT_EQ(got.size() + troubles.back().lost_bytes, text.size());
    EXPECT_TRUE(text.starts_with(got));  // the first bytes are kept, to the end of a line
    EXPECT_TRUE(got.ends_with("\n"));
    streams.reset();
    EXPECT_EQ(umount(disk.c_str()), 0);
}

TEST_F(FileTest, UsersSignalOpensARenamedFileAnew) {
    auto worker = spawn(file("log"), [](int fd) {
        write_all(fd, "old\n");
        pause();
    });
    ASSERT_TRUE(wait_until([&] { return slurp(directory + "/log") == "old\n"; }));
    std::filesystem::rename(directory + "/log", directory + "/log.old");
    streams->reopen_files();
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(directory + "/log"); }));
    run(file("log"), "new\n");
    EXPECT_EQ(slurp(directory + "/log"), "new\n");
    EXPECT_EQ(slurp(directory + "/log.old"), "old\n");
    kill(worker->pid, SIGKILL);
    EXPECT_TRUE(reap(*worker));
}

TEST_F(FileTest, AppendsToWhatIsThere) {
    run(file("log"), "one\n");
    streams.reset();
    make_streams(1);
    run(file("log"), "two\n");
    EXPECT_EQ(slurp(directory + "/log"), "one\ntwo\n");
    struct stat about {};
    ASSERT_EQ(stat((directory + "/log").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0133, 0u);
}

TEST_F(FileTest, OurOwnLinkIsFollowed) {
    std::filesystem::create_symlink("target", directory + "/log");
    run(file("log"), "x\n");
    EXPECT_EQ(slurp(directory + "/target"), "x\n");
    EXPECT_TRUE(troubles.empty());
}

TEST_F(FileTest, ALinkThatSomebodyElsePlantedIsNot) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a link of another user's";
    std::filesystem::create_symlink("target", directory + "/log");
    ASSERT_EQ(lchown((directory + "/log").c_str(), 12345, 12345), 0);
    run(file("log"), "x\n");
    EXPECT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_FALSE(std::filesystem::exists(directory + "/target"));
}

// The folder above is the worker's user's, who has put a link in the place of the next.
TEST_F(FileTest, NorIsOneInTheMiddleOfTheWay) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a link of another user's";
    std::filesystem::create_directories(directory + "/his");
    std::filesystem::create_directories(directory + "/victim");
    std::filesystem::create_symlink(directory + "/victim", directory + "/his/web");
    ASSERT_EQ(chown((directory + "/his").c_str(), 12345, 12345), 0);
    ASSERT_EQ(lchown((directory + "/his/web").c_str(), 12345, 12345), 0);
    run(file("his/web/log"), "x\n");
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_NE(troubles[0].text.find(directory + "/his/web is a link of another user's"), std::string::npos)
        << troubles[0].text;
    EXPECT_TRUE(std::filesystem::is_empty(directory + "/victim"));
}

TEST_F(FileTest, NothingIsRenamedOrRemovedThroughALinkThatIsPlantedLater) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a link of another user's";
    std::filesystem::create_directories(directory + "/his/web");
    std::filesystem::create_directories(directory + "/victim");
    for (const char* name : {"log", "log.1", "log.2"}) std::ofstream(directory + "/victim/" + name) << name;
    StreamSpec spec = rotating(100, 2);
    spec.filename = directory + "/his/web/log";
    auto worker = spawn(spec, [](int fd) {
        write_all(fd, "first\n");
        pause();
    });
    ASSERT_TRUE(wait_until([&] { return slurp(spec.filename) == "first\n"; }));
    std::filesystem::rename(directory + "/his/web", directory + "/his/moved");
    std::filesystem::create_symlink(directory + "/victim", directory + "/his/web");
    ASSERT_EQ(lchown((directory + "/his/web").c_str(), 12345, 12345), 0);
    run(spec, std::string(98, 'x') + "\n");
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_NE(troubles[0].text.find("is a link of another user's"), std::string::npos) << troubles[0].text;
    for (const std::string name : {"log", "log.1", "log.2"})
        EXPECT_EQ(slurp(directory + "/victim/" + name), name);
    // The file at hand serves until there is a way again.
    EXPECT_EQ(slurp(directory + "/his/moved/log"), "first\n" + std::string(98, 'x') + "\n");
    kill(worker->pid, SIGKILL);
    EXPECT_TRUE(reap(*worker));
}

TEST_F(FileTest, RootsLinkToAFolderIsFollowedAndRotatedBehind) {
    std::filesystem::create_directory(directory + "/real");
    std::filesystem::create_directory_symlink("real", directory + "/link");
    StreamSpec spec = rotating(20, 3);
    spec.filename = directory + "/link/log";
    run(spec, "one line\nand another\nand one more\n");
    EXPECT_EQ(
        slurp(directory + "/real/log.2") + slurp(directory + "/real/log.1") + slurp(directory + "/real/log"),
        "one line\nand another\nand one more\n");
    EXPECT_TRUE(troubles.empty());
}

TEST_F(FileTest, AFifoWithoutAReaderBlocksNobody) {
    const StreamSpec spec = file("fifo");
    ASSERT_EQ(mkfifo(spec.filename.c_str(), 0600), 0);
    run(spec, "for the reader\n");
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    const UniqueFd reader(open(spec.filename.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    std::string got;
    EXPECT_TRUE(wait_until([&] {
        char buffer[100];
        const ssize_t n = read(reader.get(), buffer, sizeof buffer);
        if (n > 0) got.append(buffer, static_cast<size_t>(n));
        return got == "for the reader\n" && ended() == 1;
    }));
}

TEST_F(FileTest, ASlowFifoHoldsItsWorkerUpAndGetsEverything) {
    const StreamSpec spec = file("fifo");
    ASSERT_EQ(mkfifo(spec.filename.c_str(), 0600), 0);
    const UniqueFd reader(open(spec.filename.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const std::string text = lines_of_many_lengths(10'000);  // about 2 MB
    auto worker = spawn(spec, text);
    run(file("log"), "other sinks go on\n");
    EXPECT_FALSE(is_reaped(*worker));
    std::string got;
    std::string buffer(60'000, '\0');
    EXPECT_TRUE(wait_until([&] {
        const ssize_t n = read(reader.get(), buffer.data(), buffer.size());
        if (n > 0) got.append(buffer, 0, static_cast<size_t>(n));
        is_reaped(*worker);
        return got.size() == text.size() && worker->is_drained;
    }));
    EXPECT_EQ(got, text);
    EXPECT_TRUE(troubles.empty());
}

}  // namespace
}  // namespace circus::stream
