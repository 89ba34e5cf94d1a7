"""circusd as PID 1, as in a container: in a PID namespace of its own, made here by unshare(1)."""
import os
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import ContractCase, Daemon, descendants, main, state_and_parent, wait_until

ORPHANS = """
[watcher.orphans]
cmd = "for i in 1 2 3 4 5 6 7 8 9 10; do (exec sh -c 'sleep 0.05 & exit 0') ; done; exec sleep 1000"
shell = true
"""

STORM = """
[watcher.storm]
cmd = "for i in 1 2 3 4 5; do (exec sh -c '(exec sleep 0.01) & exit 0') ; done; exit 0"
shell = true
numprocesses = 5
min_uptime = 0.0
kill_tree = false
"""

STUBBORN = """
[watcher.stubborn]
cmd = "@PROBE@"
args = ["--ignore", "15", "--grandchild", "--daemonize", "--report", "@REPORTS@"]
numprocesses = 2
graceful_timeout = 0.5
"""


class NamespaceDaemon(Daemon):
    """self.process is unshare, which ends with the daemon's exit code; the daemon is its only child."""

    def launch(self, *arguments, output=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", harness.CIRCUSD, "--config",
                 self.config_path, *arguments],
                cwd=self.working_dir, env=self.environment, stdin=subprocess.DEVNULL, stdout=output or log,
                stderr=subprocess.STDOUT, start_new_session=True)
        return self

    @property
    def keeper(self):
        def child():
            return [pid for pid in descendants(self.process.pid)
                    if (state_and_parent(pid) or (None, None))[1] == self.process.pid]
        return wait_until(child, what="circusd below unshare")[0]

    def signal(self, signo):
        os.kill(self.keeper, signo)


def can_unshare():
    return os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(can_unshare(), "needs root and PID namespaces")
class Pid1Test(ContractCase):
    def start_as_pid1(self, config):
        daemon = NamespaceDaemon(config)
        self.addCleanup(daemon.destroy)
        daemon.start()
        self.assertIn(" runs as 1,", wait_until(lambda: " runs as " in daemon.log() and daemon.log()))
        return daemon

    def test_StrangersAreReapedAndTermStopsEverything(self):
        daemon = self.start_as_pid1(ORPHANS)
        daemon.wait_active("orphans", 1)

        def only_the_worker():
            # The arbiter and the sleeping worker; no orphan, and no zombie of one.
            return len(descendants(daemon.keeper)) == 2
        wait_until(only_the_worker, what=lambda: f"no orphans: {descendants(daemon.keeper)}")
        self.assertEqual(daemon.terminate(), 0)

    def test_NothingIsLeftOfStubbornWorkers(self):
        daemon = self.start_as_pid1(STUBBORN)
        daemon.wait_active("stubborn", 2)
        below = set(descendants(daemon.keeper))
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual([pid for pid in below if state_and_parent(pid)], [])

    def test_TermIsObeyedWithinItsOwnStopTimeoutWhateverTheWorkersWant(self):
        daemon = self.start_as_pid1(STUBBORN.replace("0.5", "600"))
        for pid in daemon.wait_active("stubborn", 2):
            wait_until(lambda path=os.path.join(daemon.reports, f"{pid}.json"): os.path.exists(path))
        below = set(descendants(daemon.keeper))
        begin = time.monotonic()
        daemon.terminate(80)
        # The default of PID 1 is 25 s: container runtimes kill what takes longer.
        self.assertGreater(time.monotonic() - begin, 20)
        self.assertEqual([pid for pid in below if state_and_parent(pid)], [])

    def test_AStormOfOrphansLeavesNoZombie(self):
        daemon = self.start_as_pid1(STORM)
        events = daemon.new_events("storm")
        seen = wait_until(lambda: len(events.of("storm", "reap")) >= 100 and events.of("storm", "reap"), 60)
        self.assertEqual({event["exit_code"] for event in seen}, {0})
        daemon.client.ok("stop", name="storm", waiting=True)
        wait_until(lambda: len(descendants(daemon.keeper)) == 1, what=lambda: descendants(daemon.keeper))
        self.assertEqual(daemon.terminate(), 0)

    def test_TheContainersSuccessorStartsAndFindsNobodyAfterAKill(self):
        first = self.start_as_pid1(STUBBORN)
        first.wait_active("stubborn", 2)
        os.kill(first.keeper, signal.SIGKILL)
        first.wait_end()
        second = NamespaceDaemon(STUBBORN, directory=first.directory)
        self.addCleanup(second.destroy)
        second.start()
        second.wait_active("stubborn", 2)
        self.assertNotIn("and left", second.log())
        # One more on the same volume, in a container of its own, is refused.
        third = NamespaceDaemon(STUBBORN, directory=first.directory)
        self.addCleanup(third.destroy)
        self.assertEqual(third.launch().wait_end(), 1)
        third.wait_log("another circusd has it, process 1;")
        self.assertEqual(second.terminate(), 0)

    def test_AKilledArbiterCostsTheContainerNothing(self):
        daemon = self.start_as_pid1(STUBBORN)
        before = daemon.wait_active("stubborn", 2)
        old = daemon.arbiter
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: daemon.arbiter not in (None, old))
        daemon.wait_log("took over")
        daemon.client = daemon.new_client()
        self.assertEqual(daemon.wait_active("stubborn", 2), before)
        self.assertEqual(daemon.terminate(), 0)


if __name__ == "__main__":
    main()
