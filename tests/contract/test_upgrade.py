"""circusd becomes another binary: the same pid, the same workers, and one that cannot changes nothing."""
import os
import shutil
import signal

from harness import BUILD, CIRCUSD, is_running, main, tell, wait_until
from test_takeover import IDLE, SERVING, Load, TakeoverCase


class UpgradeTest(TakeoverCase):
    limit = 120

    def other_binary(self, daemon):
        path = os.path.join(daemon.directory, "circusd-next")
        shutil.copy2(CIRCUSD, path)
        return path

    def wait_next(self, daemon, old):
        wait_until(lambda: not is_running(old))
        self.wait_answer(daemon)
        self.assertNotEqual(daemon.arbiter, old)

    def test_TheBinaryIsAnotherPidsAndRequestsAreNot(self):
        daemon = self.serving()
        before, keeper = daemon.pids("web"), daemon.keeper
        binary = self.other_binary(daemon)
        load = Load(self.port)
        try:
            for target in (binary, CIRCUSD, binary):
                old, answers = daemon.arbiter, load.answers
                daemon.client.ok("upgrade", binary=target)
                self.wait_next(daemon, old)
                self.assertEqual(os.readlink(f"/proc/{keeper}/exe"), os.path.realpath(target))
                self.assertEqual(os.readlink(f"/proc/{daemon.arbiter}/exe"), os.path.realpath(target))
                wait_until(lambda seen=answers: load.answers > seen + 50)
        finally:
            load.end()
        self.assertEqual(load.failed, [])
        self.assertEqual(daemon.pids("web"), before)
        self.assertEqual(daemon.workers(), sorted(before))

    def test_AfterwardsTheDeadAreStillReapedAndReplaced(self):
        daemon = self.serving()
        old = daemon.arbiter
        daemon.client.ok("upgrade", binary=self.other_binary(daemon))
        self.wait_next(daemon, old)
        victim = daemon.pids("web")[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in daemon.pids("web") and len(daemon.pids("web")) == 4)
        self.kill_arbiter(daemon)
        self.assertEqual(len(daemon.pids("web")), 4)

    def test_WhatTheDeadHaveLeftBehindIsSweptBeforeTheOtherBinaryRuns(self):
        """Which knows nothing of those who died a moment before."""
        daemon = self.run_daemon(IDLE.format(name="idle", count=1) + '''
[watcher.leaves]
cmd = "/bin/sh"
args = ["-c", "setsid sleep 1000 & sleep 0.1"]
numprocesses = 20
min_uptime = 0.0
''')
        idle = daemon.wait_active("idle", 1)
        for _ in range(4):
            old = daemon.arbiter
            daemon.client.ok("upgrade", binary=CIRCUSD)
            self.wait_next(daemon, old)
        daemon.client.ok("stop", name="leaves", waiting=True)
        wait_until(lambda: daemon.workers() == idle, what=lambda: tell(daemon.workers()))

    def test_Usr2IsTheSame(self):
        daemon = self.serving()
        before, old = daemon.pids("web"), daemon.arbiter
        daemon.signal(signal.SIGUSR2)
        self.wait_next(daemon, old)
        self.assertEqual(daemon.pids("web"), before)

    def test_WhatCannotTakeOverChangesNothingAndSaysWhy(self):
        daemon = self.serving()
        before, old = daemon.pids("web"), daemon.arbiter
        for binary, why in (("/nonexistent/circusd", "No such file"), ("/bin/false", "cannot take over"),
                            ("bin/circusd", "whole path"), (daemon.config_path, "cannot be run")):
            with self.subTest(binary=binary):
                answer = daemon.client.ask("upgrade", binary=binary)
                self.assertEqual(answer["status"], "error", answer)
                self.assertIn(why, answer["reason"])
        self.assertEqual(daemon.arbiter, old)
        self.assertEqual(daemon.pids("web"), before)

    def test_AConfigurationThatIsWrongByNowIsSaid(self):
        daemon = self.run_daemon(SERVING)
        daemon.ports.append(daemon.client.ok("listsockets")["sockets"][0]["port"])
        before, old = daemon.wait_active("web", 4), daemon.arbiter
        daemon.write_config("[watcher.web]\nno_such = 1\n")
        answer = daemon.client.ask("upgrade")
        self.assertEqual(answer["status"], "error", answer)
        self.assertIn("no_such", answer["reason"])
        self.assertEqual(daemon.arbiter, old)
        self.assertEqual(daemon.pids("web"), before)


class NoUseTest(TakeoverCase):
    """The other binary passes the look, and is of no use then (tests/upgrade): the one before runs again."""
    limit = 120

    def begin(self, circus=""):
        self.daemon_ = self.run_daemon(SERVING + IDLE.format(name="idle", count=2) + IDLE.format(name="off", count=1),
                                       circus)
        self.daemon_.wait_active("web", 4)
        self.port = self.daemon_.client.ok("listsockets")["sockets"][0]["port"]
        self.daemon_.ports.append(self.port)
        client = self.daemon_.client
        client.ok("incr", name="idle", nb=2, waiting=True)
        client.ok("stop", name="off", waiting=True)
        client.ok("set", name="idle", options={"graceful_timeout": 3.5}, waiting=True)
        self.before = self.state()

    def state(self):
        """What there is, and what was said at run time."""
        client, names = self.daemon_.client, ("web", "idle", "off")
        return {name: (self.daemon_.pids(name), self.daemon_.status(name), client.ok("options", name=name)["options"])
                for name in names}

    def upgrade_to(self, program, name):
        """Under load; returns the answer, once there is one again after it."""
        path = os.path.join(self.daemon_.directory, name)
        shutil.copy2(BUILD / "tests/bin" / program, path)
        keeper, load = self.daemon_.keeper, Load(self.port)
        try:
            answer = self.daemon_.client.ask("upgrade", binary=path)
            self.daemon_.wait_log(f"{self.first} runs again" if answer["status"] == "ok" else "everything is as it was")
            self.wait_answer(self.daemon_)
            wait_until(lambda seen=load.answers: load.answers > seen + 50)
        finally:
            load.end()
        self.assertEqual(load.failed, [])
        self.assertEqual(self.daemon_.keeper, keeper)
        for pid in (keeper, self.daemon_.arbiter):
            self.assertEqual(os.readlink(f"/proc/{pid}/exe"), self.first)
        self.assertEqual(self.state(), self.before)
        self.assertEqual(self.daemon_.workers(), sorted(self.before["web"][0] + self.before["idle"][0]))
        return path, answer

    def run_first(self, circus=""):
        """With a binary whose name is its own, so that the log's lines cannot mean the other one."""
        self.begin(circus)
        self.first = os.path.join(self.daemon_.directory, "circusd-before")
        shutil.copy2(CIRCUSD, self.first)
        old = self.daemon_.arbiter
        self.daemon_.client.ok("upgrade", binary=self.first)
        wait_until(lambda: not is_running(old))
        self.wait_answer(self.daemon_)

    def check_goes_on(self):
        """Nothing of what it is able to do is lost: the dead are replaced, it takes over from itself, it upgrades."""
        daemon = self.daemon_
        victim = daemon.pids("web")[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in daemon.pids("web") and len(daemon.pids("web")) == 4)
        self.kill_arbiter(daemon)
        self.assertEqual(len(daemon.pids("web")), 4)
        old = daemon.arbiter
        daemon.client.ok("upgrade", binary=CIRCUSD)
        wait_until(lambda: not is_running(old))
        self.wait_answer(daemon)
        self.assertEqual(os.readlink(f"/proc/{daemon.keeper}/exe"), os.path.realpath(CIRCUSD))
        self.assertEqual(len(daemon.pids("web")), 4)

    def lines_about(self, path):
        return [line for line in self.daemon_.log().splitlines() if "upgrade undone" in line and path in line]

    def test_OneWhoseArbiterEndsAtOnceGivesWayToTheOneBefore(self):
        self.run_first()
        path, answer = self.upgrade_to("circusd-broken", "circusd-next")
        self.assertEqual(answer["status"], "ok")
        [line] = self.lines_about(path)
        self.assertIn(f"{path} does not start: its arbiter exited unasked with status 1 before it was ready; "
                      f"{self.first} runs again", line)
        self.check_goes_on()
        self.assertEqual(len(self.lines_about(path)), 1, "it is said once")

    def test_TheFileOfTheOneBeforeNeedNotBeThereAnyMore(self):
        self.run_first()
        os.unlink(self.first)
        self.first += " (deleted)"
        self.upgrade_to("circusd-broken", "circusd-next")
        self.check_goes_on()

    def test_OneWhoseArbiterHangsGivesWayAsWell(self):
        self.run_first("arbiter_timeout = 1\n")
        path, _ = self.upgrade_to("circusd-broken", "circusd-hangs")
        [line] = self.lines_about(path)
        self.assertIn("its arbiter was not ready within", line)
        self.check_goes_on()

    def test_OneThatDoesNotUnderstandWhatItIsGivenGivesItBack(self):
        self.run_first()
        arbiter = self.daemon_.arbiter
        path, answer = self.upgrade_to("circusd-misreads", "circusd-next")
        self.assertEqual(answer["status"], "error", answer)
        self.assertIn(f"{path} does not understand", answer["reason"])
        self.assertEqual(self.daemon_.arbiter, arbiter, "nobody had to take over")
        self.check_goes_on()

    def test_TermMeanwhileEndsTheStack(self):
        self.run_first("arbiter_timeout = 1\n")
        path = os.path.join(self.daemon_.directory, "circusd-hangs")
        shutil.copy2(BUILD / "tests/bin/circusd-broken", path)
        daemon = self.daemon_
        daemon.client.ok("upgrade", binary=path)

        def is_there(arbiter):
            return arbiter and os.path.realpath(f"/proc/{arbiter}/exe") == path
        wait_until(lambda: is_there(daemon.arbiter))
        self.assertEqual(daemon.terminate(), 1)


if __name__ == "__main__":
    main()
