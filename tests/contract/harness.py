"""The contract tests' ground: what every test file imports.

- daemon.py: Daemon starts build/bin/circusd on a configuration text and gives a client, the log and the process tree.
- wire.py: Client speaks the wire by itself, Events records what is published.
- process_tree.py: what an outsider sees of processes and ports.
- waiting.py: wait_until(condition, deadline), never a sleep.
- ContractCase, here, ends each test class with an outside observer: everything below the test process is looked at,
  then ports and socket files. A test's hard limit is an alarm, and a failure shows the tail of the daemon's log.
"""
import os
import shutil
import signal
import sys
import unittest

from daemon import BUILD, CIRCUSCTL, CIRCUSD, PROBE, ROOT, Daemon, quoted
from process_tree import (cmdline, descendants, free_port, ignores, is_running, kill_child, kill_everything_below,
                          listening_ports, read_proc, reap_strangers, state_and_parent, tell)
from waiting import PATIENCE, NotReached, holds_for, wait_quietly, wait_until
from wire import Client, Events

__all__ = ["BUILD", "CIRCUSCTL", "CIRCUSD", "PATIENCE", "PROBE", "ROOT", "Client", "ContractCase", "Daemon", "Events",
           "NotReached", "cmdline", "descendants", "fill", "free_port", "holds_for", "ignores", "is_running",
           "kill_child", "kill_everything_below", "listening_ports", "main", "main_or_skipped", "observe", "quoted",
           "read_proc", "reap_strangers", "state_and_parent", "tell", "wait_quietly", "wait_until"]

TEST_LIMIT = 90
SKIPPED = 77  # the exit code that ctest is told of by SKIP_RETURN_CODE


class ContractCase(unittest.TestCase):
    """A test class shares the daemon that `config` describes, if it does; each test may start others."""

    config = None  # TOML of the class's daemon; None: each test starts its own
    circus = ""
    environment = None
    limit = TEST_LIMIT
    daemon = None

    @classmethod
    def setUpClass(cls):
        if cls.config is not None:
            cls.daemon = Daemon(cls.config, cls.circus, cls.environment)
            try:
                cls.daemon.start()
            except BaseException:
                cls.daemon.destroy()
                kill_everything_below()
                raise

    @classmethod
    def tearDownClass(cls):
        if cls.daemon is None:
            return
        daemon, cls.daemon = cls.daemon, None
        try:
            code = daemon.terminate(40)
            left = observe(daemon)
            if code != 0:
                left.append(f"TERM: exit code {code} instead of 0")
        except NotReached as error:
            left = [str(error)]
        finally:
            daemon.destroy()
            kill_everything_below()
        if left:
            raise AssertionError("after the class's daemon ended:\n" + "\n".join(left) + "\n" + daemon.log_tail())
        shutil.rmtree(daemon.directory, ignore_errors=True)

    def setUp(self):
        self.started = []
        signal.signal(signal.SIGALRM, self._out_of_time)
        signal.alarm(self.limit)

    def _out_of_time(self, _signo, _frame):
        raise NotReached(f"the test's limit of {self.limit} s")

    def tearDown(self):
        signal.alarm(0)
        failed = self._failed()
        if failed and self.daemon:
            sys.stderr.write(self.daemon.log_tail() + "\n")
        left = []
        for daemon in self.started:
            if failed:
                sys.stderr.write(daemon.log_tail() + "\n")
            elif daemon.process and daemon.process.poll() is None:
                try:
                    code = daemon.terminate(40)
                    if code != 0:
                        left.append(f"TERM: exit code {code} instead of 0")
                except NotReached as error:
                    left.append(str(error))
            if not failed:
                left += observe(daemon)
            daemon.destroy()
        if self.daemon is None:
            kill_everything_below()
        for daemon in self.started:
            shutil.rmtree(daemon.directory, ignore_errors=True)
        if left:
            tails = "\n".join(daemon.log_tail() for daemon in self.started)
            self.fail("after the daemon ended:\n" + "\n".join(left) + "\n" + tails)

    def _failed(self):
        outcome = self._outcome
        result = getattr(outcome, "result", None)
        pairs = list(getattr(result, "failures", [])) + list(getattr(result, "errors", []))
        return any(case is self for case, _ in pairs) or not getattr(outcome, "success", True)

    def new_daemon(self, config, circus="", **more):
        """A daemon of this test's own, not started yet; ended and looked after in tearDown."""
        daemon = Daemon(config, circus, **more)
        self.started.append(daemon)
        return daemon

    def run_daemon(self, config, circus="", **more):
        return self.new_daemon(config, circus, **more).start()

    def assert_error(self, answer, errno, reason):
        """The exact shape of an error, its number and its text (a callable judges the text by itself)."""
        self.assertEqual(sorted(answer), ["errno", "id", "reason", "status", "tb", "time"], answer)
        self.assertEqual(answer["status"], "error")
        self.assertEqual(answer["errno"], errno, answer)
        self.assertIsInstance(answer["time"], float)
        self.assertTrue(answer["tb"] is None or isinstance(answer["tb"], str))
        if callable(reason):
            self.assertTrue(reason(answer["reason"]), answer)
        else:
            self.assertEqual(answer["reason"], reason)


def observe(daemon):
    """What an outsider finds that should not be there after `daemon` ended; empty: all is well."""
    left = []
    known = set()
    if daemon.process:
        known.add(daemon.process.pid)

    def nothing_below():
        reap_strangers(known)
        below = {pid for pid in descendants(os.getpid()) if pid not in known}
        return not below & ours(daemon)
    if not wait_quietly(nothing_below, 1):
        left.append(f"processes: {tell(ours(daemon))}")
    ports = listening_ports() & set(daemon.ports)
    if ports:
        left.append(f"ports still bound: {sorted(ports)}")
    sockets = daemon.leftover_sockets()
    if sockets:
        left.append(f"socket files: {sockets}")
    return left


def ours(daemon):
    """Those below the test that are of this daemon: all, unless another daemon of the test is still alive."""
    keeper = daemon.process.pid if daemon.process else 0
    found = set()
    others = set()
    for pid in descendants(os.getpid()):
        known = state_and_parent(pid)
        if known is None or pid == keeper:
            continue
        if known[1] == os.getpid() and os.path.basename(cmdline(pid).split(" ")[0]) == "circusd" and known[0] != "Z":
            others |= {pid} | set(descendants(pid))
        else:
            found.add(pid)
    return found - others


def fill(pipe):
    """Writes to a pipe until it takes no more; whoever shares the descriptor sees it non-blocking meanwhile."""
    os.set_blocking(pipe, False)
    try:
        while True:
            os.write(pipe, b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(pipe, True)


def main():
    unittest.main(module="__main__", verbosity=2, buffer=False)


def main_or_skipped():
    """As main(), but for the exit code when every test was skipped."""
    result = unittest.main(module="__main__", verbosity=2, buffer=False, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if len(result.skipped) >= result.testsRun else 0)
