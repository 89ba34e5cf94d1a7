"""What is known of a process that has ended: why, what it used, what it wrote last; and that it is not lost."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from harness import CIRCUSCTL, ContractCase, cmdline, descendants, kill_child, main, wait_until
from test_takeover import TakeoverCase

KEYS = {"wid", "pid", "time", "age", "exit_code", "signal", "by_circusd", "core", "oom", "reason", "why", "max_rss",
        "cpu_user", "cpu_system", "stderr", "complete"}


def shell(name, script, *more):
    """A watcher of one process that runs `script` and is not replaced."""
    options = ("respawn = false",) + more
    return f"[watcher.{name}]\ncmd = \"/bin/sh\"\nargs = ['-c', '''{script}''']\n" + "\n".join(options) + "\n"


STDERR = 'stderr_stream = {class = "FileStream", filename = "@DIR@/stderr.log"}'


class DeathsCase(ContractCase):
    def begin(self, config):
        self.daemon_ = self.run_daemon(config)
        self.client = self.daemon_.client
        return self.daemon_

    def answer(self, name):
        return self.daemon_.client.ok("deaths", name=name)

    def deaths(self, name, count=1):
        """The records of `name`, once there are so many and the last is complete."""
        def there():
            deaths = self.answer(name)["deaths"]
            return deaths if len(deaths) >= count and deaths[-1]["complete"] else None
        return wait_until(there, what=lambda: f"{count} deaths of {name}: {self.answer(name)}")

    def ctl(self, *words):
        return subprocess.run([CIRCUSCTL, "--endpoint", self.daemon_.endpoint, *words], capture_output=True, text=True,
                              timeout=30, check=False)


class RecordTest(DeathsCase):
    def test_AnExitIsKeptWithItsCodeAndWhatItUsed(self):
        self.begin(shell("job", "exit 7"))
        self.deaths("job")
        events = self.daemon_.new_events("job")
        self.client.ok("start", name="job")
        death = self.deaths("job", 2)[-1]
        self.assertEqual(set(death), KEYS)
        self.assertEqual((death["exit_code"], death["signal"], death["by_circusd"]), (7, None, None))
        self.assertEqual((death["reason"], death["wid"], death["core"], death["oom"]), ("exit", 1, False, False))
        self.assertGreater(death["max_rss"], 100_000)
        self.assertGreaterEqual(death["age"], 0)
        self.assertGreaterEqual(death["cpu_user"] + death["cpu_system"], 0)
        self.assertIsNone(death["stderr"])
        reap = events.wait_for("job", "reap")[-1]
        self.assertEqual((reap["process_pid"], reap["exit_code"]), (death["pid"], 7))
        self.assertEqual(set(reap), {"process_pid", "time", "exit_code"})

    def test_WhatCircusdEndsWasAskedAndTheSignalIsItsOwn(self):
        self.begin('[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 2\n')
        pids = self.daemon_.wait_active("web", 2)
        self.client.ok("kill", name="web", pid=pids[0], waiting=True)
        death = self.deaths("web")[-1]
        self.assertEqual((death["pid"], death["signal"], death["exit_code"]), (pids[0], "SIGTERM", None))
        self.assertEqual((death["reason"], death["by_circusd"]), ("asked", True))
        self.client.ok("signal", name="web", pid=pids[1], signum="usr1")
        death = self.deaths("web", 2)[-1]
        self.assertEqual((death["pid"], death["signal"]), (pids[1], "SIGUSR1"))
        self.assertEqual((death["reason"], death["by_circusd"]), ("signal", True))

    def test_ASignalOfAStrangerIsNotCircusds(self):
        self.begin('[watcher.web]\ncmd = "@PROBE@"\n')
        pid = self.daemon_.wait_active("web", 1)[0]
        kill_child(self.daemon_.keeper, pid, signal.SIGUSR2)
        death = self.deaths("web")[-1]
        self.assertEqual((death["pid"], death["signal"], death["reason"]), (pid, "SIGUSR2", "killed"))
        self.assertEqual((death["by_circusd"], death["oom"]), (False, False))
        wait_until(lambda: self.daemon_.pids("web") not in ([], [pid]), what="another process")
        kill_child(self.daemon_.keeper, self.daemon_.wait_active("web", 1)[0], signal.SIGKILL)
        death = self.deaths("web", 2)[-1]
        self.assertEqual((death["signal"], death["reason"], death["by_circusd"]), ("SIGKILL", "killed", False))
        # Unless somebody else on this machine was killed for want of memory in these seconds.
        self.assertIn(death["oom"], (False, None))

    def test_ACrashIsKeptWithTheLastLinesAlsoOneWithoutItsEnd(self):
        script = 'echo "first" >&2; echo; echo "a b  c" >&2; printf "no newline" >&2; kill -SEGV $$'
        self.begin(shell("job", script, STDERR, "autostart = false"))
        events = self.daemon_.new_events("job")
        self.client.ok("start", name="job")
        death = self.deaths("job")[-1]
        self.assertEqual(death["stderr"], ["first", "a b  c", "no newline"])
        self.assertEqual((death["signal"], death["reason"], death["by_circusd"]), ("SIGSEGV", "crash", False))
        told = wait_until(lambda: events.deaths_of("job"))[0]
        self.assertEqual(set(told), KEYS - {"pid", "stderr", "complete"} | {"process_pid", "last_line"})
        self.assertEqual((told["process_pid"], told["wid"], told["last_line"]), (death["pid"], 1, "no newline"))
        self.assertEqual((told["reason"], told["signal"]), ("crash", "SIGSEGV"))

    def test_OfALongOutputTheEndIsKept(self):
        self.begin(shell("job", "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i+1)); done >&2; exit 1", STDERR))
        lines = self.deaths("job")[-1]["stderr"]
        self.assertGreater(len(lines), 20)
        self.assertEqual(lines, [f"line {i}" for i in range(3000 - len(lines), 3000)])

    def test_MemoryIsAReasonThatSaysWhy(self):
        self.begin('[watcher.fat]\ncmd = "/usr/bin/python3"\nargs = ["-c", '
                   '"import time; hoard = bytearray(90 << 20); time.sleep(1000)"]\nmemory_max = "40M"\n')
        death = self.deaths("fat")[-1]
        self.assertEqual((death["reason"], death["signal"], death["by_circusd"]), ("memory", "SIGKILL", True))
        self.assertIn("more than memory_max", death["why"])
        self.assertGreater(death["max_rss"], 40 << 20)


class NotStartedTest(DeathsCase):
    def test_ASpawnThatFailedIsThereOnceWithItsStageAndHowOften(self):
        lost = tempfile.mkdtemp(prefix="circus-lost-", dir="/tmp")
        self.begin('[watcher.gone]\ncmd = "/nowhere/to/be/found"\nmax_retry = 4\nmax_backoff = 0.02\nautostart = false\n'
                   '[watcher.lost]\ncmd = "@PROBE@"\nworking_dir = "' + lost + '"\nmax_retry = 1\nautostart = false\n')
        os.rmdir(lost)
        events = self.daemon_.new_events("gone")
        self.client.ok("start", name="gone")
        wait_until(lambda: self.answer("gone")["counts"]["not_started"] == 4, what=lambda: self.answer("gone"))
        [death] = self.answer("gone")["deaths"]
        self.assertEqual(set(death), KEYS | {"stage", "errno", "times"})
        self.assertEqual((death["reason"], death["stage"], death["errno"], death["times"]), ("not_started", "exec", 2, 4))
        self.assertEqual((death["pid"], death["exit_code"], death["signal"], death["complete"]), (None, None, None, True))
        self.assertIn("No such file or directory", death["why"])
        told = events.wait_for("gone", "spawn_failed", 4)[-1]
        self.assertEqual((told["stage"], told["errno"], told["wid"]), ("exec", 2, 1))
        self.assertEqual(self.answer("gone")["counts"]["total"], 0)
        self.assertRegex(self.ctl("deaths", "gone").stdout, r"^\S+ \S+  gone  wid 1  not started  cannot spawn '/nowhere/to/be/"
                                                            r"found': exec: No such file or directory \(4 times\)\n$")
        self.assertIn("not started", self.ctl("--color", "always", "deaths").stdout)
        self.client.ok("start", name="lost")
        wait_until(lambda: self.answer("lost")["counts"]["not_started"])
        self.assertEqual(self.answer("lost")["deaths"][-1]["stage"], "changing to the working directory")

    def test_TheProcessOfAnIsolatedPluginIsThereUnderItsName(self):
        self.begin('[plugin.flapping]\nuse = "flapping"\nisolate = true\n[watcher.web]\ncmd = "@PROBE@"\n')
        wait_until(lambda: self.client.ok("plugins")["plugins"]["flapping"]["state"] == "active")
        [pid] = [pid for pid in descendants(self.daemon_.keeper) if "--isolated flapping" in cmdline(pid)]
        kill_child(self.daemon_.keeper, pid, signal.SIGKILL)
        death = self.deaths("plugin:flapping")[-1]
        self.assertEqual((death["pid"], death["signal"]), (pid, "SIGKILL"))
        self.assertIn("plugin:flapping  wid 1", self.ctl("deaths").stdout)


class BoundTest(DeathsCase):
    def test_TheLastHundredStayAndAllAreCounted(self):
        self.begin('[watcher.storm]\ncmd = "/bin/sh -c \'exit 3\'"\nmin_uptime = 0\nmax_retry = -1\n'
                   '[watcher.calm]\ncmd = "@PROBE@"\n')
        wait_until(lambda: self.answer("storm")["counts"]["total"] >= 130, 60)
        self.client.ok("stop", name="storm", waiting=True)
        wait_until(lambda: all(death["complete"] for death in self.answer("storm")["deaths"]))
        answer = self.answer("storm")
        self.assertEqual(len(answer["deaths"]), 100)
        times = [death["time"] for death in answer["deaths"]]
        self.assertEqual(times, sorted(times))
        counts = answer["counts"]
        self.assertEqual(sum(counts["reasons"].values()), counts["total"])
        self.assertEqual(sum(counts["exit_codes"].values()) + sum(counts["signals"].values()), counts["total"])
        self.assertGreaterEqual(counts["reasons"]["exit"], 120)
        self.assertEqual(self.answer("calm")["deaths"], [])
        self.assertEqual(self.answer("calm")["counts"]["total"], 0)
        self.assertEqual(len(self.client.ok("deaths", name="storm", last=3)["deaths"]), 3)
        everything = self.client.ok("deaths", last=0)["watchers"]
        self.assertEqual(everything["storm"], {"deaths": [], "counts": counts})
        self.assertEqual(set(everything), {"storm", "calm"})

    def test_ARemovedWatcherTakesItsRecordsAlong(self):
        self.begin(shell("job", "exit 7"))
        self.deaths("job")
        self.client.ok("rm", name="job", waiting=True)
        self.client.ok("add", name="job", cmd="/bin/true", waiting=True)
        self.assertEqual(self.answer("job")["deaths"], [])


class CircusctlTest(DeathsCase):
    def test_TheLinesTheTableTheJsonAndTheErrors(self):
        self.begin(shell("job", "echo from job >&2; exit 7", STDERR) + shell("other", "kill -KILL $$"))
        first, second = self.deaths("job")[-1], self.deaths("other")[-1]

        plain = self.ctl("deaths", "job")
        self.assertEqual((plain.returncode, plain.stderr), (0, ""))
        self.assertRegex(plain.stdout, rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  job  wid 1  pid {first['pid']}  exit 7  exit  "
                                       r"after \d+\.\d+s  max RSS \S+  CPU \d+\.\d\ds\n$")
        self.assertEqual(self.ctl("deaths", "job", "--stderr").stdout.splitlines()[1:], ["    from job"])
        both = self.ctl("deaths").stdout
        self.assertEqual(len(both.splitlines()), 2, both)
        self.assertIn(f"other  wid 1  pid {second['pid']}  SIGKILL  killed", both)

        table = self.ctl("--color", "always", "deaths").stdout
        self.assertIn("LAST ON STDERR", table)
        self.assertIn("from job", table)

        told = json.loads(self.ctl("--json", "deaths", "job").stdout)
        self.assertEqual(told["deaths"], [first])
        self.assertEqual(told["name"], "job")

        wrong = self.ctl("deaths", "nobody")
        self.assertEqual(wrong.returncode, 3)
        self.assertEqual(wrong.stderr, "error: program nobody not found\n")
        self.assert_error(self.client.ask("deaths", name="nobody"), 3, "program nobody not found")
        self.assert_error(self.client.ask("deaths", last="many"), 3, "'last' isn't an integer")

    def test_NothingIsPrintedWhereNobodyHasEnded(self):
        self.begin('[watcher.web]\ncmd = "@PROBE@"\n')
        self.daemon_.wait_active("web", 1)
        shown = self.ctl("deaths")
        self.assertEqual((shown.returncode, shown.stdout, shown.stderr), (0, "", ""))


class TakeoverTest(TakeoverCase, DeathsCase):
    def test_RecordsAndCountsAreTheNextArbitersToo(self):
        daemon = self.begin('[watcher.web]\ncmd = "/bin/sh"\n'
                            "args = ['-c', 'echo words >&2; exec sleep 1000']\n" + STDERR)
        pid = daemon.wait_active("web", 1)[0]
        log = pathlib.Path(daemon.directory, "stderr.log")
        wait_until(lambda: log.exists() and log.read_text() == "words\n")
        kill_child(daemon.keeper, pid, signal.SIGKILL)
        before = self.deaths("web")
        self.assertEqual(before[0]["stderr"], ["words"])
        wait_until(lambda: daemon.pids("web") not in ([], [pid]), what="another process")
        self.kill_arbiter(daemon)
        self.client = daemon.client
        answer = self.answer("web")
        self.assertEqual((answer["deaths"], answer["counts"]["total"]), (before, 1))
        kill_child(daemon.keeper, daemon.wait_active("web", 1)[0], signal.SIGUSR1)
        deaths = self.deaths("web", 2)
        self.assertEqual(deaths[-1]["signal"], "SIGUSR1")
        self.assertEqual(self.answer("web")["counts"]["signals"], {"SIGKILL": 1, "SIGUSR1": 1})


class Group:
    """A control group of this test's own with a limit of memory; None where that is not permitted."""

    def __init__(self, parent, limit_file):
        self.parent = parent
        self.path = parent / f"circus-deaths-{os.getpid()}"
        self.path.mkdir()
        try:
            (self.path / limit_file).write_text(str(300 << 20))
            with contextlib.suppress(OSError):
                (self.path / "memory.swap.max").write_text("0")
        except OSError:
            self.path.rmdir()
            raise

    @classmethod
    def make(cls):
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "memory":
                parent, limit = pathlib.Path("/sys/fs/cgroup/memory" + path), "memory.limit_in_bytes"
            elif controllers == "":
                parent, limit = pathlib.Path("/sys/fs/cgroup" + path), "memory.max"
            else:
                continue
            with contextlib.suppress(OSError):
                return cls(parent, limit)
        return None

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def leave(self):
        (self.parent / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        self.leave()

        def gone():
            with contextlib.suppress(OSError):
                self.path.rmdir()
            return not self.path.exists()
        wait_until(gone, what=f"the end of {self.path}")


class OomTest(DeathsCase):
    def test_AVictimOfTheKernelIsRecognised(self):
        group = Group.make()
        if group is None:
            raise unittest.SkipTest("no control group with a limit of memory can be made here")
        daemon = self.new_daemon('[watcher.fat]\ncmd = "/usr/bin/python3"\nargs = ["-c", "bytearray(900 << 20)"]\n'
                                 "oom_score_adj = 900\nrespawn = false\nautostart = false\n")
        self.addCleanup(group.remove)
        group.enter()
        try:
            self.daemon_ = daemon.start()
        finally:
            group.leave()
        daemon.client.ok("start", name="fat")
        death = self.deaths("fat")[-1]
        self.assertEqual((death["signal"], death["by_circusd"]), ("SIGKILL", False))
        self.assertEqual((death["reason"], death["oom"]), ("oom", True))
        self.assertIn("out of memory", self.ctl("deaths", "fat").stdout)


if __name__ == "__main__":
    main()
