"""What the options of a watcher do to its processes, as the probe in them sees it."""
import os
import pwd
import shutil
import signal
import unittest

from harness import PROBE, ContractCase, holds_for, is_running, main, wait_until

PLAIN = ["--report", "@REPORTS@"]


def toml_list(words):
    return "[" + ", ".join('"' + word + '"' for word in words) + "]"


def watcher(name, *lines, args=PLAIN):
    return f"\n[watcher.{name}]\ncmd = \"@PROBE@\"\nargs = {toml_list(args)}\n" + "\n".join(lines) + "\n"


def as_map(report):
    return dict(entry.split("=", 1) for entry in report["env"])


class SeenTest(ContractCase):
    """Each watcher sets one thing; the test reads what its process saw."""

    environment = {"COLOUR": "red", "SECRET": "s"}
    config = """
[env]
A = "all"
B = "all"
C = "all"
D = "$COLOUR-${COLOUR}-$UNSET."

[env."env*,other"]
B = "glob"
C = "glob"

[env."ENV"]
C = "later"
""" + watcher("plain") + watcher("env", 'env = {E = "own", A = "own"}') + watcher("copied", "copy_env = true") + \
        watcher("modes", 'umask = "027"', "nice = 5", "oom_score_adj = 500", "no_new_privs = true") + \
        watcher("limits", "rlimit_nofile = 500", "rlimit_core = [0, 100]", 'rlimit_cpu = "unlimited"',
                'rlimit_FSIZE = [1000000, "unlimited"]', "rlimit_nproc = [900, 1000]", 'rlimit_as = ""',
                "rlimit_stack = 8388608") + \
        watcher("folder", 'working_dir = "/usr"') + \
        watcher("words", args=PLAIN + ["--", "$(circus.wid)", "$(CIRCUS.numprocesses)", "((circus.env.colour))",
                                       "$(circus.nope)", "a b"]) + \
        '\n[watcher.shell]\ncmd = "@PROBE@ --report @REPORTS@ -- $((1 + 2)) \'a  b\'"\nshell = true\n' + \
        '\n[watcher.split]\ncmd = "@PROBE@ --report @REPORTS@ -- one \'two three\' \\"four\\""\n' + \
        '\n[watcher.named]\ncmd = "some-name"\nexecutable = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\n' + \
        watcher("quiet", "close_child_stdout = true", "close_child_stderr = true")

    def seen(self, name):
        pid = self.daemon.wait_active(name, 1)[0]
        if name == "shell":
            return wait_until(lambda: [each for each in self.daemon.all_reports() if "a  b" in each["argv"]])[0]
        return self.daemon.report(pid)

    def test_AWorkerSeesOnlyTheDeclaredEnvironment(self):
        env = as_map(self.seen("plain"))
        env.pop("CIRCUS_INSTANCE", None)
        self.assertEqual(env, {"A": "all", "B": "all", "C": "all", "D": "red-red-."})

    def test_LaterSectionsOfTheEnvironmentWin(self):
        env = as_map(self.seen("env"))
        self.assertEqual([env[key] for key in "ABCE"], ["own", "glob", "later", "own"])

    def test_CopyEnvPutsTheDaemonsOwnBelow(self):
        env = as_map(self.seen("copied"))
        self.assertEqual((env["SECRET"], env["A"]), ("s", "all"))

    def test_NoForeignDescriptorNoSignalHeldBackAndAnOwnSession(self):
        seen = self.seen("plain")
        self.assertEqual(sorted(seen["fds"]), ["0", "1", "2"])
        self.assertEqual(seen["fds"]["0"], "/dev/null")
        self.assertEqual(seen["fds"]["1"], self.daemon.log_path)
        self.assertEqual((seen["blocked"], seen["ignored"], seen["caught"]), (0, 0, 0))
        self.assertEqual((seen["sid"], seen["pgrp"]), (seen["pid"], seen["pid"]))
        self.assertEqual(seen["ppid"], self.daemon.keeper)

    def test_UmaskNiceOomScoreAndNoNewPrivs(self):
        seen = self.seen("modes")
        self.assertEqual([seen[key] for key in ("umask", "nice", "oom_score_adj", "no_new_privs")], [0o27, 5, 500, 1])

    def test_LimitsAreSetAndTheDaemonsOwnFileLimitIsNotInherited(self):
        seen = self.seen("limits")["limits"]
        self.assertEqual((seen["nofile"], seen["core"], seen["cpu"]), ([500, 500], [0, 100], [-1, -1]))
        self.assertEqual((seen["nproc"], seen["fsize"], seen["as"]), ([900, 1000], [1000000, -1], [-1, -1]))
        self.assertEqual(seen["stack"], [8388608, 8388608])
        with open("/proc/self/limits") as limits:
            own = next(line.split() for line in limits if line.startswith("Max open files"))
        self.assertEqual(self.seen("plain")["limits"]["nofile"], [int(own[3]), int(own[4])])

    def test_WorkingDir(self):
        self.assertEqual(self.seen("folder")["cwd"], "/usr")
        self.assertEqual(self.seen("plain")["cwd"], self.daemon.directory)

    def test_SubstitutionInArguments(self):
        argv = self.seen("words")["argv"]
        self.assertEqual(argv[argv.index("--") + 1:], ["1", "1", "red", "$(circus.nope)", "a b"])

    def test_AShellSplitsAndComputes(self):
        argv = self.seen("shell")["argv"]
        self.assertEqual(argv[argv.index("--") + 1:], ["3", "a  b"])

    def test_CmdIsSplitAsAShellSplitsWords(self):
        argv = self.seen("split")["argv"]
        self.assertEqual(argv[argv.index("--") + 1:], ["one", "two three", "four"])

    def test_ExecutableKeepsCmdsName(self):
        seen = self.seen("named")
        self.assertEqual((seen["argv"][0], seen["exe"]), ("some-name", os.path.realpath(PROBE)))

    def test_ClosedOutputsAreDevNull(self):
        seen = self.seen("quiet")["fds"]
        self.assertEqual((seen["1"], seen["2"]), ("/dev/null", "/dev/null"))


@unittest.skipUnless(os.geteuid() == 0, "changing ids needs root")
class IdentityTest(ContractCase):
    config = watcher("name", 'uid = "nobody"') + watcher("number", "uid = 12345", "gid = 23456") + \
        watcher("group", 'gid = "daemon"')

    def seen(self, name):
        return self.daemon.report(self.daemon.wait_active(name, 1)[0])

    def test_AUserByNameGetsItsGroupAndItsGroups(self):
        nobody = pwd.getpwnam("nobody")
        seen = self.seen("name")
        self.assertEqual((seen["uids"], seen["gids"]), ([nobody.pw_uid] * 3, [nobody.pw_gid] * 3))
        self.assertEqual(set(seen["groups"]), set(os.getgrouplist("nobody", nobody.pw_gid)))

    def test_NumbersWithoutANameLeaveNoGroupOfRoot(self):
        seen = self.seen("number")
        self.assertEqual((seen["uids"], seen["gids"]), ([12345] * 3, [23456] * 3))
        self.assertNotIn(0, seen["groups"])

    def test_AGroupAlone(self):
        seen = self.seen("group")
        self.assertEqual((seen["uids"], seen["gids"]), ([0] * 3, [1] * 3))


class StoppingTest(ContractCase):
    config = watcher("polite", "stop_signal = \"usr1\"", "graceful_timeout = 10",
                     args=["--exit-on", "10:0", "--ignore", "15"] + PLAIN) + \
        watcher("stubborn", "graceful_timeout = 0.5", args=["--ignore", "15", "--grandchild", "--daemonize"] + PLAIN) + \
        watcher("parent", "stop_children = true", args=["--note", "15:@DIR@/noted", "--grandchild"] + PLAIN,
                *("graceful_timeout = 0.5",)) + \
        watcher("careless", "kill_tree = false", args=["--grandchild"] + PLAIN) + \
        watcher("hup", "send_hup = true", args=["--note", "1:@DIR@/hups"] + PLAIN)

    def start(self, name):
        self.daemon.client.ok("start", name=name, waiting=True)
        pid = self.daemon.wait_active(name, 1)[0]
        self.daemon.report(pid)
        return pid

    def strays(self, mark):
        """Whoever was started below worker `mark`, wherever it is now: told by the mark in its environment."""
        wanted = next(entry for entry in self.daemon.report(mark)["env"] if entry.startswith("CIRCUS_INSTANCE="))
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and is_running(int(entry)):
                try:
                    with open(f"/proc/{entry}/environ", "rb") as environ:
                        if wanted.encode() in environ.read().split(b"\0"):
                            found.append(int(entry))
                except OSError:
                    continue
        return found

    def test_TheConfiguredSignalStops(self):
        self.start("polite")
        self.daemon.client.ok("stop", name="polite", waiting=True)
        self.assertNotIn("polite: process", "\n".join(line for line in self.daemon.log().splitlines()
                                                     if "SIGKILL" in line))

    def test_AfterGracefulTimeoutTheWholeTreeIsKilled(self):
        pid = self.start("stubborn")
        self.assertEqual(len(self.strays(pid)), 3)
        self.daemon.client.ok("stop", name="stubborn", waiting=True)
        self.assertFalse(is_running(pid))
        # The worker is reaped, its descendants have got their SIGKILL: each is gone when it is next scheduled.
        wait_until(lambda: not self.strays(pid), 1, lambda: self.strays(pid))

    def test_StopChildrenSignalsThemToo(self):
        pid = self.start("parent")
        grandchild = [each for each in self.strays(pid) if each != pid]
        self.daemon.client.ok("stop", name="parent", waiting=True)
        with open(os.path.join(self.daemon.directory, "noted")) as notes:
            noted = {int(line.split()[1]) for line in notes}
        self.assertEqual(noted, {pid, *grandchild})

    def test_WithoutKillTreeDescendantsLiveUntilTheDaemonEnds(self):
        pid = self.start("careless")
        self.daemon.client.ok("stop", name="careless", waiting=True)
        left = self.strays(pid)
        self.assertEqual(len(left), 1)
        self.assertTrue(holds_for(lambda: is_running(left[0]), 0.3))

    def test_SendHupReloadsWithAHangup(self):
        pid = self.start("hup")
        info = self.daemon.client.ok("reload", name="hup", waiting=True)["info"]
        self.assertEqual(info["kept"], [pid])
        path = os.path.join(self.daemon.directory, "hups")
        wait_until(lambda: os.path.exists(path) and open(path).read() == f"1 {pid}\n")


class StartingTest(ContractCase):
    def test_WarmupDelaySpacesTheSpawns(self):
        daemon = self.run_daemon(watcher("web", "numprocesses = 4", "warmup_delay = 0.2"))
        daemon.wait_active("web", 4)
        times = wait_until(lambda: len(daemon.all_reports()) == 4 and [each["time"] for each in daemon.all_reports()])
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        self.assertTrue(all(gap > 0.15 for gap in gaps), gaps)

    def test_AStopDuringTheWarmupLeavesNoLateProcess(self):
        daemon = self.run_daemon(watcher("web", "numprocesses = 5", "warmup_delay = 0.3"))
        wait_until(lambda: daemon.pids("web"))
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertTrue(holds_for(lambda: not daemon.workers(), 0.7))

    def test_HigherPriorityStartsFirstAndStopsLast(self):
        daemon = self.run_daemon("".join(
            watcher(name, f"priority = {priority}",
                    args=PLAIN + ["--exit-on", "15:0"]) for name, priority in (("b", 1), ("c", 3), ("a", 2))))
        order = ["c", "a", "b"]
        pids = {daemon.wait_active(name, 1)[0]: name for name in order}
        reports = wait_until(lambda: len(daemon.all_reports()) == 3 and daemon.all_reports())
        self.assertEqual([pids[each["pid"]] for each in sorted(reports, key=lambda each: each["pid"])], order)
        events = daemon.new_events("a")
        daemon.client.ok("stop", waiting=True)
        for name in order:
            events.wait_for(name, "stop")
        self.assertEqual([name for name, event, _ in events.seen if event == "stop"], order[::-1])

    def test_AutostartFalseWaitsForACommand(self):
        daemon = self.run_daemon(watcher("web", "autostart = false"))
        self.assertTrue(holds_for(lambda: not daemon.workers(), 0.3))
        daemon.client.ok("start", name="web", waiting=True)
        daemon.wait_active("web", 1)

    def test_WithoutRespawnTheDeadStayDead(self):
        daemon = self.run_daemon(watcher("web", "respawn = false", "numprocesses = 2"))
        first, second = daemon.wait_active("web", 2)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: daemon.pids("web") == [second])
        self.assertTrue(holds_for(lambda: daemon.pids("web") == [second], 0.5))

    def test_MaxRetryFailedSpawnsStopTheWatcherOnly(self):
        daemon = self.run_daemon('[watcher.bad]\ncmd = "/nowhere/program"\nmax_retry = 3\n' + watcher("web"))
        wait_until(lambda: daemon.status("bad") == "stopped")
        wait_until(lambda: daemon.log().count("/nowhere/program") >= 3, what=daemon.log)
        self.assertEqual(daemon.log().count("/nowhere/program"), 3, daemon.log())
        daemon.wait_active("web", 1)

    def test_ManyThatFailTogetherFailOnceAndHaveTheirRetries(self):
        daemon = self.run_daemon('[watcher.bad]\ncmd = "/nowhere/program"\nnumprocesses = 20\nmax_retry = 3\n'
                                 '[watcher.late]\ncmd = "@DIR@/late --report @REPORTS@"\nnumprocesses = 8\nmax_retry = 8\n')
        daemon.wait_log("@DIR@/late".replace("@DIR@", daemon.directory))
        os.symlink(PROBE, os.path.join(daemon.directory, "late"))
        daemon.wait_active("late", 8)
        daemon.wait_log("stopped after 3 failed spawns in a row")
        wait_until(lambda: daemon.status("bad") == "stopped")
        self.assertEqual(daemon.log().count("/nowhere/program"), 3, daemon.log())
        self.assertEqual(daemon.log().count("failed spawns"), 1, daemon.log())

    def test_MaxRetryMinusOneTriesForEver(self):
        daemon = self.run_daemon('[watcher.late]\ncmd = "@DIR@/late --report @REPORTS@"\nmax_retry = -1\n'
                                 "max_backoff = 0.02\n")
        wait_until(lambda: daemon.log().count("cannot spawn") > 8)
        self.assertEqual(daemon.status("late"), "starting")
        os.symlink(PROBE, os.path.join(daemon.directory, "late"))
        daemon.wait_active("late", 1)

    def test_MaxBackoffBoundsThePauseAndMinUptimeSaysWhoNeedsOne(self):
        def loop(name, *lines):
            return watcher(name, *lines, args=PLAIN + ["--exit-after", "0:1", "--", name])
        daemon = self.run_daemon(loop("quick", "max_backoff = 0.02") + loop("long-lived", "min_uptime = 0.0") +
                                 loop("slow", "max_backoff = 3600.0"))
        def runs(name):
            return sum(name in each["argv"] for each in daemon.all_reports())
        # Twelve doublings from 10 ms are 41 s: the unbounded one is far behind when the others are through.
        wait_until(lambda: runs("quick") > 30 and runs("long-lived") > 30)
        self.assertLess(runs("slow"), 15)

    def test_ACrashLoopIsSlowedDownAndDoesNotSpin(self):
        daemon = self.run_daemon(watcher("loop", args=PLAIN + ["--exit-after", "0:1"]) + watcher("web"),
                                 circus="check_delay = 0.5\n")
        daemon.wait_active("web", 1)
        self.assertTrue(holds_for(lambda: True, 2))
        runs = len(daemon.all_reports()) - 1
        self.assertTrue(4 <= runs <= 25, runs)

    def test_ALongLifeIsReplacedAtOnce(self):
        daemon = self.run_daemon(watcher("web", "min_uptime = 0.2"))
        pid = daemon.wait_active("web", 1)[0]
        holds_for(lambda: True, 0.3)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: daemon.pids("web") not in ([pid], []), 1)

    def test_MaxAgeReplacesAnOldProcess(self):
        daemon = self.run_daemon(watcher("web", "max_age = 1", "max_age_variance = 0"))
        pid = daemon.wait_active("web", 1)[0]
        wait_until(lambda: pid not in daemon.pids("web") and len(daemon.pids("web")) == 1, 5)

    def test_EachProcessDrawsItsOwnVarianceAndNoneEndsBeforeItsAge(self):
        daemon = self.run_daemon(watcher("web", "numprocesses = 6", "max_age = 1", "max_age_variance = 2"))
        events = daemon.new_events("web")
        born = {pid: None for pid in daemon.wait_active("web", 6)}
        for each in daemon.client.ok("stats", name="web")["info"].values():
            born[each["pid"]] = each["started"]
        wait_until(lambda: {each["process_pid"] for each in events.of("web", "kill")} >= set(born))
        died = {each["process_pid"]: each["time"] for each in events.of("web", "kill") if each["process_pid"] in born}
        lives = sorted(died[pid] - start for pid, start in born.items())
        self.assertGreater(lives[0], 0.99)
        self.assertGreater(lives[-1] - lives[0], 0.05, lives)
        self.assertEqual(len(daemon.wait_active("web", 6)), 6)

    def test_OfASingletonThereIsNeverASecond(self):
        daemon = self.run_daemon(watcher("web", "singleton = true"))
        pid = daemon.wait_active("web", 1)
        self.assertTrue(daemon.client.ok("incr", name="web", waiting=True)["singleton"])
        answer = daemon.client.ask("set", name="web", options={"numprocesses": 2})
        self.assert_error(answer, 5, lambda text: text.endswith("Singleton watcher has a single process"))
        self.assertEqual(daemon.pids("web"), pid)

    def test_RetryInIsTakenForMaxBackoffFromOldClients(self):
        daemon = self.run_daemon(watcher("web"))
        daemon.wait_active("web", 1)
        daemon.client.ok("add", name="loop", cmd=PROBE, options={"retry_in": 0.02}, start=True, waiting=True,
                         args=["--report", daemon.reports, "--exit-after", "0:1", "--", "loop"])
        wait_until(lambda: sum("loop" in each["argv"] for each in daemon.all_reports()) > 30)
        daemon.client.ok("set", name="web", options={"retry_in": 3}, waiting=True)
        self.assertEqual(daemon.client.ok("options", name="web")["options"]["max_backoff"], 3)
        self.assert_error(daemon.client.ask("set", name="web", options={"retry_in": "x"}), 3, "'retry_in' isn't a number")

    def test_WithoutCloseChildStdinTheDaemonsInputIsInherited(self):
        daemon = self.new_daemon(watcher("open", "close_child_stdin = false") + watcher("closed"))
        path = os.path.join(daemon.directory, "input")
        with open(path, "w+") as daemon.stdin:
            daemon.start()
        self.assertEqual(daemon.report(daemon.wait_active("open", 1)[0])["fds"]["0"], path)
        self.assertEqual(daemon.report(daemon.wait_active("closed", 1)[0])["fds"]["0"], "/dev/null")

    def test_ASpawnThatFailsSaysAtWhichStageAndWhy(self):
        daemon = self.new_daemon(watcher("web", 'working_dir = "@DIR@/gone"', "max_retry = 1"))
        gone = os.path.join(daemon.directory, "gone")
        os.makedirs(gone)
        daemon.start()
        daemon.wait_active("web", 1)
        shutil.rmtree(gone)
        daemon.client.ok("restart", name="web")
        wait_until(lambda: daemon.status("web") == "stopped")
        wait_until(lambda: "cannot spawn" in daemon.log())
        line = next(line for line in daemon.log().splitlines() if "cannot spawn" in line)
        self.assertIn("No such file or directory", line)
        self.assertRegex(line, "working_dir|chdir|" + gone)


if __name__ == "__main__":
    main()
