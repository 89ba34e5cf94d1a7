"""circusd as PID 1, as in a container: in a PID namespace of its own, made here by unshare(1)."""
import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import ContractCase, Daemon, descendants, main, state_and_parent, wait_until

ORPHANS = """
[watcher.orphans]
cmd = "for i in 1 2 3 4 5 6 7 8 9 10; do (exec sh -c 'sleep 0.05 & exit 0') ; done; exec sleep 1000"
shell = true
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

    def test_AKilledArbiterEndsTheContainerWithAFailure(self):
        daemon = self.start_as_pid1(STUBBORN)
        daemon.wait_active("stubborn", 2)
        os.kill(daemon.arbiter, signal.SIGKILL)
        self.assertEqual(daemon.wait_end(), 1)


if __name__ == "__main__":
    main()
