"""Whatever is killed, stopped or hurried: the count comes back, and nothing is left behind."""
import os
import random
import signal
import socket
import threading
import time

from harness import (ContractCase, descendants, fill, holds_for, is_running, kill_child, listening_ports, main, reap_strangers,
                     wait_until)

# The worst a worker can do at its end: it ignores TERM, has a child, and has left a daemon behind.
STUBBORN = """
[watcher.stubborn]
cmd = "@PROBE@"
args = ["--ignore", "15", "--grandchild", "--daemonize", "--report", "@REPORTS@"]
numprocesses = 3
graceful_timeout = 0.5
"""

LISTENING = """
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@", "--serve", "$(circus.sockets.web)"]
use_sockets = true
numprocesses = 2
"""


class FaultsCase(ContractCase):
    def start_all(self, config, circus=""):
        """A daemon whose probes have all reported; self.all is every process below it, strays included."""
        daemon = self.run_daemon(config, circus)
        for name, count in (("stubborn", 3), ("web", 2)):
            if f"[watcher.{name}]" in config:
                for pid in daemon.wait_active(name, count):
                    daemon.report(pid)
        if "[socket.web]" in config:
            self.port = daemon.client.ok("listsockets")["sockets"][0]["port"]
            daemon.ports.append(self.port)
        self.all = set(descendants(daemon.keeper))
        return daemon

    def assert_all_gone(self, daemon, patience=5):
        def gone():
            reap_strangers({daemon.keeper})
            return not [pid for pid in self.all if is_running(pid)]
        wait_until(gone, patience, lambda: [pid for pid in self.all if is_running(pid)])


class StormTest(FaultsCase):
    limit = 120

    def test_TwoHundredWorkersKilledAtRandomForTwentySecondsAreTwoHundredAgain(self):
        seed = int(os.environ.get("CIRCUS_SEED", "20"))
        chance = random.Random(seed)
        daemon = self.run_daemon('[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 200\n', "check_delay = 1\n")
        daemon.wait_active("web", 200)
        events = daemon.new_events("web")
        pause, end = threading.Event(), time.monotonic() + 20
        killed = set()  # one that is killed but has not been scheduled since may be drawn again
        while time.monotonic() < end:
            for pid in chance.sample(daemon.pids("web"), 5):
                if kill_child(daemon.keeper, pid):
                    killed.add(pid)
            events.collect()
            pause.wait(chance.uniform(0, 0.1))
        kills = len(killed)
        self.assertGreater(kills, 500)
        wait_until(lambda: len(events.of("web", "spawn")) == kills and len(events.of("web", "reap")) == kills,
                   what=lambda: (kills, len(events.of("web", "spawn")), len(events.of("web", "reap"))))
        pids = daemon.wait_active("web", 200)
        below = descendants(daemon.keeper)
        self.assertEqual([pid for pid, state in below.items() if state == "Z"], [], f"zombies, seed {seed}")
        self.assertEqual(sorted(daemon.workers()), sorted(pids), f"strays, seed {seed}")
        wids = sorted(each["wid"] for each in daemon.client.ok("stats", name="web")["info"].values())
        self.assertEqual(wids, list(range(1, 201)), f"seed {seed}")

    def test_ABurstOfCommandsAndKillsEndsInTheCountAskedForLast(self):
        chance = random.Random(7)
        daemon = self.run_daemon('[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 5\nmin_uptime = 0.0\n'
                                 "graceful_timeout = 1\n")
        client = daemon.client
        for _ in range(150):
            command = chance.choice(["incr", "decr", "restart", "reload", "stop", "start", "kill"])
            client.ask(command, name="web")
            if chance.random() < 0.3:
                for pid in daemon.pids("web")[:2]:
                    kill_child(daemon.keeper, pid)
        client.ok("start", name="web")
        client.ok("set", name="web", options={"numprocesses": 7}, waiting=True)
        pids = daemon.wait_active("web", 7, 30)
        wait_until(lambda: sorted(daemon.workers()) == sorted(daemon.pids("web")),
                   what=lambda: (pids, daemon.workers()))


class EndTest(FaultsCase):
    def test_StopLeavesNoProcessOfAStubbornWatcher(self):
        daemon = self.start_all(STUBBORN)
        self.assertEqual(len(daemon.workers()), 9)
        daemon.client.ok("stop", name="stubborn", waiting=True)
        wait_until(lambda: not daemon.workers(), 1, daemon.workers)

    def test_TermLeavesNoProcessAndNoPort(self):
        daemon = self.start_all(LISTENING + STUBBORN)
        self.assertEqual(daemon.terminate(), 0)
        self.assertFalse([pid for pid in self.all if is_running(pid)], "already when the daemon has ended")
        self.assertNotIn(self.port, listening_ports())

    def test_EndpointsAreRemovedAtTheEnd(self):
        daemon = self.start_all(LISTENING)
        self.assertEqual(daemon.terminate(), 0)
        left = [name for name in ("endpoint", "pubsub", "stats")
                if os.path.exists(os.path.join(daemon.directory, name))]
        self.assertEqual(left, [])

    def test_TheUnexpectedDeathOfAWorkerTakesItsFamilyAlong(self):
        daemon = self.start_all(STUBBORN)
        daemon.client.ok("set", name="stubborn", options={"respawn": False}, waiting=True)
        pids = daemon.pids("stubborn")
        for pid in daemon.pids("stubborn"):
            daemon.report(pid)
        self.all = set(daemon.workers())
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not daemon.workers(), what=daemon.workers)

    def test_ASecondTermEndsItAtOnce(self):
        daemon = self.start_all(STUBBORN.replace("0.5", "30"))
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: daemon.status("stubborn") == "stopping")
        begin = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.wait_end(5)
        self.assertLess(time.monotonic() - begin, 3)
        self.assert_all_gone(daemon, 0.5)

    def test_StopTimeoutBoundsTheWholeStop(self):
        daemon = self.start_all(STUBBORN.replace("0.5", "60"), "stop_timeout = 1\n")
        begin = time.monotonic()
        daemon.terminate(10)
        self.assertLess(time.monotonic() - begin, 5)
        self.assert_all_gone(daemon, 0.5)

    def test_TermDuringStartupIsNotLost(self):
        # At growing distances from the start, so that some come before, in and after each step of it.
        for milliseconds in (0, 1, 2, 4, 8, 16, 32, 64, 128):
            with self.subTest(after=milliseconds):
                daemon = self.new_daemon(LISTENING + '[watcher.many]\ncmd = "@PROBE@"\nnumprocesses = 50\n'
                                         "warmup_delay = 0.01\n")
                daemon.launch()
                holds_for(lambda: True, milliseconds / 1000)
                daemon.signal(signal.SIGTERM)
                code = daemon.wait_end(10)
                # Before main() has run, TERM has its default meaning.
                self.assertIn(code, (0, -signal.SIGTERM))
                reap_strangers({daemon.keeper})
                self.assertEqual(descendants(daemon.keeper), {})

    def test_NothingIsLeftWhenTheClientGoesAwayInAWaitingStop(self):
        daemon = self.start_all(STUBBORN)
        client = daemon.new_client()
        client.send(b'{"id": "x", "command": "stop", "properties": {"name": "stubborn", "waiting": true}}')
        wait_until(lambda: daemon.status("stubborn") != "active")
        client.close()
        wait_until(lambda: daemon.status("stubborn") == "stopped")
        wait_until(lambda: not daemon.workers(), 1, daemon.workers)


class BrokenDaemonTest(FaultsCase):
    def test_AKilledArbiterCostsNoWorkerAndTermEndsAllOfThem(self):
        daemon = self.start_all(LISTENING + STUBBORN)
        old, pids = daemon.arbiter, daemon.pids("stubborn") + daemon.pids("web")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: daemon.arbiter not in (None, old))
        self.assertEqual([pid for pid in pids if not is_running(pid)], [])
        daemon.terminate()
        self.assert_all_gone(daemon, 0.5)
        self.assertNotIn(self.port, listening_ports())

    def test_AKilledKeeperMakesTheArbiterEndTheStack(self):
        daemon = self.start_all(LISTENING + STUBBORN)
        os.kill(daemon.keeper, signal.SIGKILL)
        daemon.wait_end()
        self.assert_all_gone(daemon, 15)
        self.assertNotIn(self.port, listening_ports())

    def test_AFrozenArbiterDoesNotKeepTermFromEndingTheStack(self):
        daemon = self.start_all(LISTENING + STUBBORN, "stop_timeout = 2\n")
        os.kill(daemon.arbiter, signal.SIGSTOP)
        begin = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.wait_end(20)
        self.assertLess(time.monotonic() - begin, 12)
        self.assert_all_gone(daemon, 0.5)

    def test_AfterSigkillOfTheKeeperANewDaemonRunsExactlyN(self):
        first = self.start_all(LISTENING)
        os.kill(first.keeper, signal.SIGKILL)
        first.wait_end()
        self.assert_all_gone(first, 15)
        first.ports.clear()
        with open(first.config_path) as config:
            text = config.read().replace("port = 0", f"port = {self.port}")
        second = self.new_daemon("", directory=first.directory)
        second.write_config(text)
        second.ports.append(self.port)
        second.start()
        pids = second.wait_active("web", 2)
        self.assertEqual(second.workers(), sorted(pids))


class HangupTest(FaultsCase):
    def test_HupReplacesAllWorkersGracefully(self):
        daemon = self.start_all(LISTENING)
        old = daemon.pids("web")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: len(daemon.pids("web")) == 2 and not set(daemon.pids("web")) & set(old))
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            self.assertIn(int(connection.makefile().readline()), daemon.pids("web"))

    def test_WinchChangesNothing(self):
        daemon = self.start_all(LISTENING)
        old = daemon.pids("web")
        daemon.signal(signal.SIGWINCH)
        self.assertTrue(holds_for(lambda: daemon.pids("web") == old, 0.3))


class StrandedOutputTest(FaultsCase):
    def test_AFullPipeAsStdoutDoesNotStopSupervision(self):
        read_end, write_end = os.pipe()
        fill(write_end)
        daemon = self.new_daemon('[watcher.web]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\n'
                                 "numprocesses = 2\nmin_uptime = 0.0\n")
        try:
            daemon.start(output=write_end)
            for _ in range(20):
                pid = daemon.wait_active("web", 2)[0]
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda gone=pid: gone not in daemon.pids("web"))
            daemon.wait_active("web", 2)
            self.assertEqual(daemon.terminate(), 0)
        finally:
            os.close(read_end)
            os.close(write_end)


if __name__ == "__main__":
    main()
