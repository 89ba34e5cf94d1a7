"""An arbiter that hangs is ended and followed by another; a plugin that does it again and again is left out."""
import json
import os
import re
import signal

from harness import BUILD, is_running, main, wait_until
from wire import Events
from test_takeover import IDLE, TakeoverCase

BROKEN = BUILD / "tests/plugins/so"


def plugin(name):
    return f'\n[plugin.{name}]\nuse = "{BROKEN}/{name}.so"\n'


class HangTest(TakeoverCase):
    def test_AnArbiterThatDoesNothingAnyMoreIsReplaced(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=3), "arbiter_timeout = 1\n")
        before, old = daemon.wait_active("idle", 3), daemon.arbiter
        os.kill(old, signal.SIGSTOP)
        wait_until(lambda: not is_running(old))
        self.wait_answer(daemon)
        self.assertEqual(daemon.pids("idle"), before)
        daemon.wait_log(re.compile(r"the arbiter hangs since [0-9]+ ms; ending it"))

    def test_OneThatHasNothingToDoIsNot(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=1), "arbiter_timeout = 0.2\ncheck_delay = 100\n")
        arbiter, events = daemon.arbiter, daemon.new_events("idle")
        # Long enough for several of its times, without a word to it.
        self.assertFalse(events.socket.poll(1500))
        self.assertEqual(daemon.arbiter, arbiter)

    def test_APluginInAnEndlessLoopCostsNoWorkerAndIsNamed(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=3) + plugin("loops"), "arbiter_timeout = 1\n")
        before, old = daemon.wait_active("idle", 3), daemon.arbiter
        daemon.client.send('{"id": "x", "command": "loop"}')
        wait_until(lambda: not is_running(old))
        self.wait_answer(daemon)
        self.assertEqual(daemon.pids("idle"), before)
        daemon.wait_log(re.compile(r"hangs since [0-9]+ ms in plugin loops \(.*loop.*\); ending it"))
        daemon.wait_log("plugin loops was being called")


class QuarantineTest(TakeoverCase):
    def state(self, daemon, name="dies"):
        return daemon.client.ok("plugins")["plugins"][name]["state"]

    def crash(self, daemon, name="dies", command="die"):
        """Or a hang: the arbiter ends, and another one takes over."""
        wait_until(lambda: self.state(daemon, name) == "active")
        old = daemon.arbiter
        daemon.client.send(f'{{"id": "x", "command": "{command}"}}')
        wait_until(lambda: not is_running(old))
        self.wait_answer(daemon)

    def test_ThreeCrashesAreEnoughAndAnOperatorMayTryAgain(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2) + plugin("dies"))
        before = daemon.wait_active("idle", 2)
        events = Events(daemon.context, daemon.pubsub, b"plugin.dies.quarantine")
        daemon.clients.append(events)
        for _ in range(3):
            self.crash(daemon)
        wait_until(lambda: events.socket.poll(20), what="the event of the quarantine")
        self.assertIn("3 times", json.loads(events.socket.recv_multipart()[1])["error"])
        self.assertEqual(self.state(daemon), "quarantined")
        self.assertIn("3 times", daemon.client.ok("plugins")["plugins"]["dies"]["error"])
        daemon.wait_log("plugin dies is in quarantine")
        self.assertEqual(daemon.pids("idle"), before)
        # It holds from arbiter to arbiter.
        self.kill_arbiter(daemon)
        self.assertEqual(self.state(daemon), "quarantined")
        daemon.client.ok("plugin", name="dies", action="enable", waiting=True)
        self.assertEqual(self.state(daemon), "active")
        self.kill_arbiter(daemon)
        wait_until(lambda: self.state(daemon) == "active")

    def test_ThreeHangsAreEnoughAsWell(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2) + plugin("loops"), "arbiter_timeout = 1\n")
        before = daemon.wait_active("idle", 2)
        for _ in range(3):
            self.crash(daemon, "loops", "loop")
        self.assertEqual(self.state(daemon, "loops"), "quarantined")
        self.assertRegex(daemon.client.ok("plugins")["plugins"]["loops"]["error"],
                         "the arbiter died in it 3 times within 60 s, last in .*loop")
        daemon.wait_log("plugin loops is in quarantine")
        self.assertEqual(daemon.log().count("in plugin loops ("), 3, "each time it was a hang")
        # Nothing of it is left to hang in, and the stack goes on.
        self.assertEqual(daemon.client.ask("loop")["status"], "error")
        daemon.client.ok("incr", name="idle", waiting=True)
        self.assertLessEqual(set(before), set(daemon.pids("idle")))
        daemon.client.ok("plugin", name="loops", action="enable", waiting=True)
        self.assertEqual(self.state(daemon, "loops"), "active")

    def test_OneThatDiesAtItsStartDoesNotKeepTheStackFromStarting(self):
        """Not one turn of the first arbiter is over when it is gone."""
        daemon = self.new_daemon(IDLE.format(name="idle", count=2) + plugin("dies_at_start"), "warmup_delay = 0.1\n")
        daemon.launch().client = daemon.new_client()
        daemon.wait_log("plugin dies_at_start is in quarantine")
        self.wait_answer(daemon)
        self.assertEqual(self.state(daemon, "dies_at_start"), "quarantined")
        self.assertEqual(len(daemon.wait_active("idle", 2)), 2)
        self.assertEqual(daemon.log().count("plugin dies_at_start was being called (start)"), 3)

    def test_WhatAnOperatorSaidOfAPluginHolds(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=1) + plugin("dies"))
        daemon.client.ok("plugin", name="dies", action="disable", waiting=True)
        self.kill_arbiter(daemon)
        self.assertEqual(self.state(daemon), "disabled")


if __name__ == "__main__":
    main()
