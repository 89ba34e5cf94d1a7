"""What a service manager is told (sd_notify), by whom, and the unit file."""
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

from harness import CIRCUSCTL, CIRCUSD, ROOT, ContractCase, holds_for, main, read_proc, state_and_parent, wait_until

GOOD = """
[watcher.web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@"]
numprocesses = 2
copy_env = true
"""


class Manager:
    """systemd's end: a datagram socket that knows who sent each message."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.lines = []
        self.senders = set()

    def collect(self):
        while True:
            try:
                data, extra, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return self.lines
            self.senders.add(struct.unpack("3i", extra[0][2][:12])[0])
            self.lines += data.decode().split("\n")

    def wait_for(self, what, count=1):
        """Waits until that line came so often."""
        wait_until(lambda: self.collect().count(what) >= count, what=lambda: f"{what} in {self.lines}")

    def close(self):
        self.socket.close()


class SystemdCase(ContractCase):
    def start(self, config=GOOD, circus="", abstract=False, **variables):
        daemon = self.new_daemon(config, circus)
        address = os.path.join(daemon.directory, "notify")
        self.manager = Manager("\0" + address if abstract else address)
        self.addCleanup(self.manager.close)
        daemon.environment["NOTIFY_SOCKET"] = ("@" if abstract else "") + address
        daemon.environment.update(variables)
        daemon.start()
        self.addCleanup(lambda: os.path.exists(address) and os.unlink(address))
        return daemon

    def tearDown(self):
        for daemon in self.started:
            for name in ("notify",):
                path = os.path.join(daemon.directory, name)
                if os.path.exists(path):
                    os.unlink(path)
        super().tearDown()


class NotifyTest(SystemdCase):
    def test_ReadyStatusAndStoppingComeFromTheMainProcess(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                daemon = self.start(abstract=abstract)
                self.manager.wait_for("READY=1")
                daemon.wait_active("web", 2)
                self.manager.wait_for("STATUS=1 watcher, 2 processes")
                daemon.client.ok("incr", name="web", waiting=True)
                self.manager.wait_for("STATUS=1 watcher, 3 processes")
                keeper = daemon.keeper
                self.assertEqual(daemon.terminate(), 0)
                self.manager.wait_for("STOPPING=1")
                self.assertEqual(self.manager.senders, {keeper})
                self.assertEqual([line for line in self.manager.lines if line.startswith("WATCHDOG")], [])

    def test_NotBeforeEverythingIsBound(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with self.assertRaises(AssertionError):
                self.start(GOOD + f'[socket.s]\nhost = "127.0.0.1"\nport = {port}\n')
        self.assertEqual(self.manager.collect(), [])

    def test_NoWorkerIsToldOfIt(self):
        daemon = self.start(WATCHDOG_USEC="60000000", WATCHDOG_PID="1", ANOTHER="seen")
        for pid in daemon.wait_active("web", 2):
            environment = read_proc(pid, "environ")
            self.assertIn(b"ANOTHER=seen", environment)
            for name in (b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID"):
                self.assertNotIn(name, environment)

    def test_AReloadIsToldFromItsBeginningToItsEnd(self):
        daemon = self.start()
        self.manager.wait_for("READY=1")
        old = daemon.wait_active("web", 2)
        before = time.monotonic_ns() // 1000
        daemon.signal(signal.SIGHUP)
        self.manager.wait_for("RELOADING=1")
        self.manager.wait_for("READY=1", 2)
        self.assertFalse(set(daemon.pids("web")) & set(old), "READY=1 comes at its end")
        at = self.manager.lines.index("RELOADING=1")
        name, _, value = self.manager.lines[at + 1].partition("=")
        self.assertEqual(name, "MONOTONIC_USEC")
        self.assertTrue(before <= int(value) <= time.monotonic_ns() // 1000)
        # A change of the configuration is one too, whether it is made or refused.
        text = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(text.replace("numprocesses = 2", "numprocesses = 3"))
        daemon.client.ok("reloadconfig", waiting=True)
        self.manager.wait_for("RELOADING=1", 2)
        self.manager.wait_for("READY=1", 3)

    def test_TheWatchdogIsFedThroughBothProcesses(self):
        daemon = self.new_daemon(GOOD)
        daemon.destroy()
        self.started.remove(daemon)
        daemon = self.start(WATCHDOG_USEC="200000")
        self.manager.wait_for("WATCHDOG=1", 5)
        for pid in (daemon.arbiter, daemon.keeper):
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda stopped=pid: state_and_parent(stopped)[0] == "T")
            self.manager.collect()
            # What was on its way has come by now; from here on nothing does.
            seen = len(self.manager.collect())
            self.assertTrue(self.stays(seen), self.manager.lines)
            os.kill(pid, signal.SIGCONT)
            self.manager.wait_for("WATCHDOG=1", self.manager.lines.count("WATCHDOG=1") + 2)

    def stays(self, seen):
        """Nothing more for a second, a last one that was on its way between the two processes excepted."""
        return holds_for(lambda: len(self.manager.collect()) <= seen + 1, 1)

    def test_AWatchdogForAnotherProcessIsNotFed(self):
        daemon = self.start(WATCHDOG_USEC="20000", WATCHDOG_PID="1")
        self.manager.wait_for("READY=1")
        daemon.client.ok("incr", name="web", waiting=True)
        self.manager.wait_for("STATUS=1 watcher, 3 processes")
        self.assertNotIn("WATCHDOG=1", self.manager.lines)

    def test_AManagerThatIsGoneOrDoesNotReadStopsNothing(self):
        daemon = self.start(WATCHDOG_USEC="20000")
        self.manager.wait_for("READY=1")
        # Its queue is full soon.
        for _ in range(5):
            pid = daemon.wait_active("web", 2)[0]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda gone=pid: gone not in daemon.pids("web"))
        self.manager.close()
        pids = daemon.wait_active("web", 2)
        daemon.client.ok("restart", name="web", waiting=True)
        self.assertFalse(set(daemon.wait_active("web", 2)) & set(pids))
        self.assertEqual(daemon.terminate(), 0)


class UnitTest(ContractCase):
    UNIT = ROOT / "configs/circusd.service"

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_SystemdHasNothingToSayAboutTheUnit(self):
        daemon = self.new_daemon(GOOD)
        unit = pathlib.Path(daemon.directory, "circusd.service")
        unit.write_text(self.UNIT.read_text().replace("/usr/bin/circusd", CIRCUSD).replace("/usr/bin/circusctl", CIRCUSCTL))
        run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True,
                             timeout=60, check=False)
        about_it = [line for line in (run.stdout + run.stderr).splitlines() if "circusd" in line]
        self.assertEqual((run.returncode, about_it), (0, []), run.stderr)

    def test_ItsCommandsAreCommandsOfCircus(self):
        text = self.UNIT.read_text()
        daemon = self.run_daemon(GOOD)
        for key, program in (("ExecStartPre", CIRCUSD), ("ExecReload", CIRCUSCTL)):
            line = next(line for line in text.splitlines() if line.startswith(key + "="))
            words = line.partition("=")[2].split()[1:]
            words = [daemon.config_path if word.endswith(".toml") else word for word in words]
            run = subprocess.run([program, *words], capture_output=True, text=True, timeout=30, check=False,
                                 env={"CIRCUSCTL_ENDPOINT": daemon.endpoint})
            self.assertEqual(run.returncode, 0, run.stderr)


if __name__ == "__main__":
    main()
