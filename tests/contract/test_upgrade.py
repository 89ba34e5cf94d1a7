"""circusd becomes another binary: the same pid, the same workers, and one that cannot changes nothing."""
import os
import shutil
import signal

from harness import CIRCUSD, is_running, main, wait_until
from test_takeover import SERVING, Load, TakeoverCase


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


if __name__ == "__main__":
    main()
