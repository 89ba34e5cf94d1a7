"""The daemon's own log: where it goes, what it looks like, and that nobody who does not take it stops anything."""
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess

from harness import CIRCUSD, ContractCase, fill, main, wait_until

GOOD = '[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 2\nmin_uptime = 0.0\n'
TEXT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} circusd\[\d+\] \[(debug|info|warning|error|critical)\] .")


class SyslogServer:
    """A datagram socket of the test's own: of a path, or over UDP."""

    def __init__(self, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.address = None if path else self.socket.getsockname()
        self.seen = []

    def collect(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.seen.append(self.socket.recv(65536).decode())
        return self.seen

    def wait_for(self, text):
        return wait_until(lambda: [line for line in self.collect() if text in line],
                          what=lambda: f"{text!r} in {self.seen}")

    def close(self):
        self.socket.close()


class LogCase(ContractCase):
    def lines(self, daemon, name="log"):
        try:
            with open(os.path.join(daemon.directory, name)) as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_line(self, daemon, text, name="log"):
        return wait_until(lambda: [line for line in self.lines(daemon, name) if text in line],
                          what=lambda: f"{text!r} in {name}: {self.lines(daemon, name)[-5:]}")

    def reload(self, daemon, circus):
        """Writes the file again with another [circus]; the plan that was carried out."""
        head = (f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'
                f'stats_endpoint = "ipc://{daemon.directory}/stats"\n')
        daemon.write_config(head + circus + "\n" + GOOD)
        return daemon.client.ok("reloadconfig", waiting=True, explain=True)["plan"]["circus"]

    def complain(self, daemon):
        """Makes the daemon log a line: its configuration cannot be used."""
        text = pathlib.Path(daemon.config_path).read_text()
        if "nosuch" not in text:
            daemon.write_config(text + "nosuch = 1\n")
        self.assertEqual(daemon.client.ask("reloadconfig", waiting=True)["errno"], 6)

    def assert_supervises(self, daemon, rounds=5):
        for _ in range(rounds):
            pid = daemon.wait_active("web", 2)[0]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda gone=pid: gone not in daemon.pids("web"))
        daemon.wait_active("web", 2)


class FileTest(LogCase):
    def test_EachLineIsTextOrAnObject(self):
        daemon = self.run_daemon(GOOD, 'logoutput = "@DIR@/log"\n')
        for line in self.wait_line(daemon, "control at"):
            self.assertRegex(line, TEXT)
        self.assertEqual(list(self.reload(daemon, 'logoutput = "@DIR@/log"\nlog_format = "json"\n')), ["log_format"])
        daemon.signal(signal.SIGHUP)
        entry = json.loads(self.wait_line(daemon, "SIGHUP")[0])
        self.assertEqual(sorted(entry), ["level", "message", "pid", "time"])
        self.assertEqual((entry["level"], entry["pid"]), ("info", daemon.arbiter))
        self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_ItIsOpenedAnewByHupAndUsr1(self):
        daemon = self.run_daemon(GOOD, 'logoutput = "@DIR@/log"\n')
        path = os.path.join(daemon.directory, "log")
        for signo in (signal.SIGUSR1, signal.SIGHUP):
            with self.subTest(signo):
                self.wait_line(daemon, "circusd" if signo == signal.SIGUSR1 else "nosuch")
                os.rename(path, path + ".1")
                daemon.signal(signo)

                def is_opened():
                    self.complain(daemon)
                    return self.lines(daemon)
                wait_until(is_opened, what="the log opened anew")
                self.complain(daemon)
                before = self.lines(daemon, "log.1")
                self.wait_line(daemon, "nosuch")
                self.assertEqual(self.lines(daemon, "log.1"), before)

    def test_TheLevelIsObeyedAndChangedAlive(self):
        daemon = self.run_daemon(GOOD, 'logoutput = "@DIR@/log"\nloglevel = "error"\n')
        daemon.signal(signal.SIGHUP)
        daemon.wait_active("web", 2)
        self.assertEqual(self.lines(daemon), [])
        self.assertEqual(list(self.reload(daemon, 'logoutput = "@DIR@/log"\nloglevel = "debug"\n')), ["loglevel"])
        daemon.signal(signal.SIGHUP)
        self.wait_line(daemon, "SIGHUP")

    def test_AnotherOutputIsTakenAliveAndOneThatCannotBeIsRefused(self):
        daemon = self.run_daemon(GOOD, 'logoutput = "@DIR@/log"\n')
        self.wait_line(daemon, "control at")
        pids = daemon.wait_active("web", 2)
        self.reload(daemon, 'logoutput = "@DIR@/other"\n')
        head = pathlib.Path(daemon.config_path).read_text()
        self.complain(daemon)
        self.wait_line(daemon, "nosuch", "other")
        daemon.write_config(head.replace("/other", "/missing/log"))
        answer = daemon.client.ask("reloadconfig", waiting=True, explain=True)
        self.assertEqual((answer["status"], answer["errno"]), ("error", 6))
        self.assertIn("/missing/log", answer["reason"])
        self.wait_line(daemon, "/missing/log", "other")
        self.assertEqual(daemon.pids("web"), pids)

    def test_AFileThatCannotBeOpenedIsAnErrorAndNothingRuns(self):
        daemon = self.new_daemon(GOOD, 'logoutput = "@DIR@/nosuch/log"\n')
        daemon.launch()
        self.assertEqual(daemon.wait_end(), 1)
        daemon.wait_log("nosuch/log")

    def test_AFullDiskStopsNothing(self):
        daemon = self.run_daemon(GOOD, 'logoutput = "/dev/full"\nloglevel = "debug"\n')
        self.assert_supervises(daemon)
        self.reload(daemon, 'logoutput = "@DIR@/log"\n')
        daemon.signal(signal.SIGHUP)
        self.wait_line(daemon, "lines of the log were lost here")
        self.wait_line(daemon, "SIGHUP")


class StderrTest(LogCase):
    def test_AReaderThatGoesAwayEndsNothing(self):
        read_end, write_end = os.pipe()
        daemon = self.new_daemon(GOOD, 'loglevel = "debug"\n')
        daemon.start(output=write_end)
        os.close(write_end)
        os.close(read_end)
        self.assert_supervises(daemon)
        daemon.signal(signal.SIGHUP)
        daemon.wait_active("web", 2)
        self.assertEqual(daemon.terminate(), 0)

    def test_AnotherOutputDoesNotWaitForAFullPipe(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        daemon = self.new_daemon(GOOD)
        daemon.start(output=write_end)
        fill(write_end)
        before = set(daemon.wait_active("web", 2))
        daemon.signal(signal.SIGHUP)  # a line that nobody takes
        wait_until(lambda: not before & set(daemon.wait_active("web", 2)))  # the reload is over
        self.assert_supervises(daemon)
        self.reload(daemon, 'logoutput = "@DIR@/log"\n')
        daemon.signal(signal.SIGHUP)
        self.wait_line(daemon, "SIGHUP")


class DebugTest(LogCase):
    """[circus] debug: what goes into a stream goes to the daemon's stdout too."""

    TALKS = ('[watcher.talks]\ncmd = "n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.02; done"\nshell = true\n'
             '[watcher.talks.stdout_stream]\nclass = "FileStream"\nfilename = "@DIR@/talk"\n')

    def test_ItIsTurnedOnAndOffAlive(self):
        daemon = self.run_daemon(self.TALKS, 'debug = true\nlogoutput = "@DIR@/log"\n')
        self.wait_line(daemon, "tick", "talk")
        self.wait_line(daemon, "tick", "circusd.log")
        text = pathlib.Path(daemon.config_path).read_text()
        pids = daemon.pids("talks")
        for on, word in ((False, "debug = false"), (True, "debug = true")):
            daemon.write_config(text.replace("debug = true", word))
            daemon.client.ok("reloadconfig", waiting=True)
            # What was on its way has come when a later line has come to the file.
            self.wait_more(daemon, "talk", 3)
            before = len(self.lines(daemon, "circusd.log"))
            if on:
                self.wait_more(daemon, "circusd.log", 3)
            else:
                self.wait_more(daemon, "talk", 5)
                self.assertEqual(len(self.lines(daemon, "circusd.log")), before)
        self.assertEqual(daemon.pids("talks"), pids, "no worker was started anew")

    def wait_more(self, daemon, name, count):
        before = len(self.lines(daemon, name))
        wait_until(lambda: len(self.lines(daemon, name)) >= before + count, what=f"{count} more lines in {name}")

    def test_AStdoutThatNobodyReadsHoldsNoWorkerUp(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        fill(write_end)
        flood = self.TALKS.replace("; sleep 0.02", "")
        daemon = self.new_daemon(flood, 'debug = true\nlogoutput = "@DIR@/log"\n')
        daemon.start(output=write_end)
        # Far more than what any backlog takes.
        path = os.path.join(daemon.directory, "talk")
        wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 4 << 20, what="4 MiB in the file")
        daemon.client.ok("stop", name="talks", waiting=True)
        with open(path) as talk:
            lines = talk.readlines()[:-1]
        self.assertEqual([line for at, line in enumerate(lines, 1) if line != f"tick {at}\n"], [])


class SyslogTest(LogCase):
    limit = 240  # a thousand reloads in a row take a busy machine more than a minute

    def test_ASocketOfThisMachineGetsEachLine(self):
        daemon = self.new_daemon(GOOD, 'logoutput = "syslog://@DIR@/dev-log?local3"\n')
        server = SyslogServer(os.path.join(daemon.directory, "dev-log"))
        self.addCleanup(server.close)
        daemon.start()
        line = server.wait_for("control at")[0]
        # local3 is 19, info 6.
        self.assertRegex(line, rf"^<158>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d circusd\[{daemon.arbiter}\]: circusd ")
        os.unlink(os.path.join(daemon.directory, "dev-log"))

    def test_UdpGetsEachLineWithTheHostAndTheUsualFacility(self):
        server = SyslogServer()
        self.addCleanup(server.close)
        daemon = self.run_daemon(GOOD, f'logoutput = "syslog://localhost:{server.address[1]}"\nlog_format = "json"\n')
        line = server.wait_for("control at")[0]
        head, _, body = line.partition("]: ")
        self.assertRegex(head, rf"^<14>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d {re.escape(socket.gethostname())} circusd\[")
        self.assertEqual(json.loads(body)["level"], "info")
        daemon.signal(signal.SIGHUP)
        server.wait_for("got SIGHUP")

    def test_AServerThatIsNotThereYetOrStuckStopsNothing(self):
        daemon = self.run_daemon(GOOD, 'logoutput = "syslog://@DIR@/dev-log"\nloglevel = "debug"\n')
        self.assert_supervises(daemon)
        path = os.path.join(daemon.directory, "dev-log")
        server = SyslogServer(path)
        self.addCleanup(server.close)
        daemon.signal(signal.SIGHUP)
        server.wait_for("lines of the log were lost here")
        server.wait_for("SIGHUP")
        # From now on it reads nothing: its queue fills, and the daemon goes on.
        for _ in range(1000):
            self.complain(daemon)
        self.assert_supervises(daemon)
        self.assertEqual(daemon.terminate(), 0)
        os.unlink(path)

    def test_TheCommandLineNamesOneToo(self):
        daemon = self.new_daemon(GOOD)
        server = SyslogServer(os.path.join(daemon.directory, "dev-log"))
        self.addCleanup(server.close)
        daemon.launch("--log-output", f"syslog://{daemon.directory}/dev-log?daemon")
        server.wait_for("<30>")
        daemon.client = daemon.new_client()
        daemon.wait_active("web", 2)
        os.unlink(os.path.join(daemon.directory, "dev-log"))


class CheckTest(LogCase):
    def test_TheCheckReadsItAsTheDaemonDoes(self):
        daemon = self.new_daemon(GOOD, 'logoutput = "syslog://host:99999"\n')
        run = subprocess.run([CIRCUSD, "--check", daemon.config_path], capture_output=True, text=True, timeout=20,
                             check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("the port must be 1 to 65535", run.stderr)


if __name__ == "__main__":
    main()
