// command_reloader on the fake host, files and inotify real.
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <poll.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

#include "command_reloader/changes.hpp"
#include "command_reloader/command.hpp"

namespace circus {
namespace {

using std::chrono::milliseconds;
using testing::FakeHost;
using Texts = std::vector<std::string>;
namespace fs = std::filesystem;

struct Folder {
    Folder() {
        std::string path = "/tmp/circus-reloader-XXXXXX";
        if (::mkdtemp(path.data()) == nullptr) std::abort();
        root = fs::canonical(path).string();
    }
    ~Folder() { fs::remove_all(root); }
    std::string operator/(const std::string& name) const { return root + "/" + name; }
    // A program, in place.
    void write(const std::string& name, const std::string& text = "#!/bin/sh\n") const {
        std::ofstream(root + "/" + name) << text;
        fs::permissions(root + "/" + name, fs::perms::owner_all);
    }
    // The same, under another name first.
    void replace(const std::string& name, const std::string& text) const {
        write(name + ".new", text);
        fs::rename(root + "/" + name + ".new", root + "/" + name);
    }
    std::string root;
};

// Changes alone, its time turned by hand.
struct ChangesTest : ::testing::Test {
    void watch(const std::string& name, bool program = true) { changes.set({{folder / name, program}}); }
    // What is reported within `time` from now on.
    Texts pass(milliseconds time) {
        changes.read(now);
        Texts found;
        for (const auto until = now + time; now < until; now += milliseconds(10)) {
            changes.read(now);
            for (const std::string& path : changes.take_changed(now))
                found.push_back(fs::path(path).filename());
        }
        return found;
    }
    static constexpr milliseconds kQuiet{100};
    Folder folder;
    command_reloader::Changes changes{kQuiet};
    command_reloader::Time now{std::chrono::hours(1)};
};

TEST_F(ChangesTest, AFileThatIsWrittenAndClosedHasChanged) {
    folder.write("app");
    watch("app");
    folder.write("app", "something else\n");
    EXPECT_EQ(pass(milliseconds(90)), Texts{});
    EXPECT_EQ(pass(milliseconds(50)), Texts{"app"});
    EXPECT_EQ(pass(milliseconds(5000)), Texts{});
}

TEST_F(ChangesTest, AFileThatIsRenamedOverItHasChanged) {
    folder.write("app");
    watch("app");
    folder.replace("app", "new\n");
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
    folder.replace("app", "newer\n");
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
}

TEST_F(ChangesTest, WhileItIsBeingWrittenItIsNotTaken) {
    folder.write("app");
    watch("app");
    const int fd = ::open((folder / "app").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(::write(fd, "half", 4), 4);
        EXPECT_EQ(pass(milliseconds(500)), Texts{});
    }
    ::close(fd);
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
}

TEST_F(ChangesTest, ANewFileIsNotTakenBeforeItIsClosed) {
    folder.write("app");
    watch("app");
    fs::remove(folder / "app");
    const int fd = ::open((folder / "app").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ASSERT_EQ(::write(fd, "half", 4), 4);
    EXPECT_EQ(pass(milliseconds(500)), Texts{});
    ASSERT_EQ(::write(fd, "whole", 5), 5);
    ::close(fd);
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
}

TEST_F(ChangesTest, AWriterThatFellSilentIsNotWaitedForForEver) {
    folder.write("app");
    watch("app");
    const int fd = ::open((folder / "app").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::write(fd, "text", 4), 4);
    EXPECT_EQ(pass(kQuiet * command_reloader::Changes::kSilence + milliseconds(20)), Texts{"app"});
    ::close(fd);
}

TEST_F(ChangesTest, AnEmptyFileAndOneThatCannotBeExecutedAreNotCompleteYet) {
    folder.write("app");
    watch("app");
    std::ofstream(folder / "app") << "";
    EXPECT_EQ(pass(milliseconds(500)), Texts{});
    fs::permissions(folder / "app", fs::perms::owner_read);
    std::ofstream(folder / "app.new") << "text";
    fs::rename(folder / "app.new", folder / "app");
    EXPECT_EQ(pass(milliseconds(500)), Texts{});
    fs::permissions(folder / "app", fs::perms::owner_all);
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
}

TEST_F(ChangesTest, AScriptNeedNotBeExecutable) {
    folder.write("app.py");
    watch("app.py", false);
    fs::permissions(folder / "app.py", fs::perms::owner_read | fs::perms::owner_write);
    std::ofstream(folder / "app.py") << "print()\n";
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app.py"});
}

TEST_F(ChangesTest, ALinkOnItsWayThatIsSwitchedLeadsToAChange) {
    for (const char* release : {"one", "two"}) {
        fs::create_directories(folder / std::string(release) + "/bin");
        folder.write(std::string(release) + "/bin/app", release);
    }
    fs::create_symlink("one", folder / "current");
    watch("current/bin/app");
    fs::create_symlink("two", folder / "next");
    fs::rename(folder / "next", folder / "current");
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
    folder.write("two/bin/app", "newer text");
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
    folder.write("one/bin/app", "of no interest");
    EXPECT_EQ(pass(milliseconds(500)), Texts{});
}

TEST_F(ChangesTest, AFolderThatIsSwappedForAnotherLeadsToAChange) {
    fs::create_directories(folder / "app");
    fs::create_directories(folder / "fresh");
    folder.write("app/run");
    folder.write("fresh/run", "other");
    watch("app/run");
    fs::rename(folder / "app", folder / "old");
    fs::rename(folder / "fresh", folder / "app");
    EXPECT_EQ(pass(milliseconds(150)), Texts{"run"});
}

TEST_F(ChangesTest, WhatIsGoneForAWhileIsTakenWhenItIsBack) {
    folder.write("app");
    watch("app");
    fs::rename(folder / "app", folder / "kept");
    EXPECT_EQ(pass(milliseconds(500)), Texts{});
    fs::rename(folder / "kept", folder / "app");
    EXPECT_EQ(pass(milliseconds(500)), Texts{});  // the very same file
    folder.replace("app", "another");
    EXPECT_EQ(pass(milliseconds(150)), Texts{"app"});
}

TEST_F(ChangesTest, ItsNeighboursAreOfNoInterest) {
    folder.write("app");
    watch("app");
    folder.write("app.log");
    folder.replace("other", "text");
    EXPECT_EQ(pass(milliseconds(500)), Texts{});
    EXPECT_EQ(changes.next_look(), std::nullopt);
}

TEST(CommandFiles, AreTheProgramAndAnInterpretersScript) {
    Folder folder;
    folder.write("app");
    folder.write("app.py");
    folder.write("python3.11");
    const auto files = [&](Json options, const std::string& path = "") {
        options["working_dir"] = folder.root;
        Texts found;
        for (const auto& file : command_reloader::files_of(options, path)) {
            EXPECT_EQ(fs::path(file.path).parent_path(), folder.root);
            found.push_back(fs::path(file.path).filename());
        }
        return found;
    };
    const std::string path = "/nowhere:" + folder.root;
    EXPECT_EQ(files({{"cmd", "./app --x app.py"}}), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "app"}}), Texts{});
    EXPECT_EQ(files({{"cmd", "app"}}, path), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "app"}, {"env", {{"PATH", "/x:" + folder.root}}}}), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "app"}, {"env", {{"PATH", "$PATH:/x"}}}}, path), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "python3.11 -u app.py --port 80"}}, path), (Texts{"python3.11", "app.py"}));
    EXPECT_EQ(files({{"cmd", "python3.11"}, {"args", {"-W", "ignore", "app.py"}}}, path),
              (Texts{"python3.11", "app.py"}));
    EXPECT_EQ(files({{"cmd", "python3.11 -m app.py"}}, path), Texts{"python3.11"});
    EXPECT_EQ(files({{"cmd", "env A=1 './app'"}}), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "exec ./app | cat"}, {"shell", true}}), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "name"}, {"executable", "./app"}}), Texts{"app"});
    EXPECT_EQ(files({{"cmd", "./app-$(circus.wid)"}}), Texts{});
}

TEST(CommandFiles, WordsAreSplitAsAShellDoes) {
    EXPECT_EQ(command_reloader::split_words(R"(a 'b c'  "d \"e\" \n" f\ g '' "")"),
              (Texts{"a", "b c", "d \"e\" \\n", "f g", "", ""}));
}

struct CommandReloaderTest : ::testing::Test {
    CommandReloaderTest() { folder.write("app"); }
    void start() {
        ASSERT_EQ(host.start({{"loop_rate", 0.1}}), CIRCUS_OK);
        host.reply_to("status", CIRCUS_OK, {{"statuses", {{"web", "active"}, {"plugin:x", "active"}}}});
        answer();
    }
    void answer() {
        host.reply_to("options", CIRCUS_OK, {{"options", {{"cmd", folder / "app"}, {"working_dir", "/"}}}});
        host.take_calls();
        host.advance(milliseconds(1));
    }
    // The calls that a change leads to, after inotify told and time has gone on.
    std::vector<FakeHost::Call> after_change(int fd) {
        pollfd ready{fd, POLLIN, 0};
        EXPECT_EQ(::poll(&ready, 1, 5000), 1);
        host.ready(fd, CIRCUS_FD_IN);
        host.advance(milliseconds(200));
        return host.take_calls();
    }
    // The plugin's inotify: the one descriptor of that kind of this process.
    static int inotify() {
        for (const auto& each : fs::directory_iterator("/proc/self/fd")) {
            std::error_code gone;
            if (fs::read_symlink(each, gone) == "anon_inode:inotify")
                return std::stoi(each.path().filename());
        }
        return -1;
    }
    Folder folder;
    FakeHost host;
};

TEST_F(CommandReloaderTest, AChangedProgramIsAReloadOfAWatcherThatRuns) {
    start();
    folder.replace("app", "new");
    const auto asked = after_change(inotify());
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].command, "status");
    host.reply(CIRCUS_OK, {{"status", "active"}});
    const auto calls = host.take_calls();
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_EQ(calls[0].command, "reload");
    EXPECT_EQ(calls[0].properties, Json({{"name", "web"}, {"waiting", true}}));
}

TEST_F(CommandReloaderTest, AWatcherThatIsStoppedStaysStopped) {
    start();
    folder.replace("app", "new");
    EXPECT_EQ(after_change(inotify()).size(), 1u);
    host.reply(CIRCUS_OK, {{"status", "stopped"}});
    EXPECT_TRUE(host.take_calls().empty());
}

TEST_F(CommandReloaderTest, AReloadThatIsGivenUpIsTold) {
    start();
    folder.replace("app", "new");
    after_change(inotify());
    host.reply(CIRCUS_OK, {{"status", "active"}});
    host.take_lines();
    host.reply(CIRCUS_E_INVALID, {{"reason", "reload given up"}});
    EXPECT_EQ(host.take_lines().at(0).text, "web: cannot be reloaded: reload given up");
}

TEST_F(CommandReloaderTest, TheFileOfAnotherCommandIsWatchedFromTheEventOn) {
    start();
    host.emit("watcher.web.updated", {{"watcher", "web"}});
    folder.write("other");
    host.reply_to("options", CIRCUS_OK, {{"options", {{"cmd", folder / "other"}, {"working_dir", "/"}}}});
    host.take_calls();
    host.advance(milliseconds(1));
    folder.replace("other", "new");
    EXPECT_EQ(after_change(inotify()).size(), 1u);
}

TEST_F(CommandReloaderTest, ARemovedWatchersFileIsOfNoInterest) {
    start();
    host.emit("watcher.web.remove", {{"watcher", "web"}});
    host.advance(milliseconds(1));
    folder.replace("app", "new");
    host.ready(inotify(), CIRCUS_FD_IN);
    host.advance(milliseconds(500));
    EXPECT_TRUE(host.take_calls().empty());
}

}  // namespace
}  // namespace circus
