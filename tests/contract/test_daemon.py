"""circusd as a daemon: its command line, into the background, its pidfile and its signals."""
import os
import pathlib
import re
import signal
import socket
import subprocess

from harness import CIRCUSD, ContractCase, Daemon, is_running, main, wait_until

GOOD = '[watcher.web]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\nnumprocesses = 2\n'


class Adopted:
    """The daemon after its caller has gone, with what the harness asks of a Popen: it is a child of this test now."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, patience=15):
        wait_until(lambda: self.poll() is not None, patience, f"the end of {self.pid}")
        return self.returncode

    def send_signal(self, signo):
        os.kill(self.pid, signo)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)


class BackgroundDaemon(Daemon):
    def go(self, *arguments, pidfile=None, pass_fds=()):
        """Runs the caller to its end; then self.process is the daemon, if there is one. The caller's result."""
        self.pidfile = pidfile or os.path.join(self.directory, "pid")
        # Through pipes: if anything of the daemon held them, this would not return.
        run = subprocess.run([CIRCUSD, "--daemon", "--pidfile", self.pidfile, *arguments, self.config_path],
                             capture_output=True, text=True, timeout=30, check=False, env=self.environment,
                             stdin=subprocess.DEVNULL, cwd=self.directory, pass_fds=pass_fds)
        if run.returncode == 0:
            with open(self.pidfile) as pidfile:
                self.process = Adopted(int(pidfile.read()))
        return run


class DaemonizeTest(ContractCase):
    def background(self, config=GOOD, circus='logoutput = "@DIR@/circusd.log"\n'):
        daemon = BackgroundDaemon(config, circus)
        self.started.append(daemon)
        return daemon

    def test_TheCallerReturnsWhenEverythingIsBound(self):
        daemon = self.background(GOOD + '[socket.s]\npath = "@DIR@/s.sock"\n')
        run = daemon.go()
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
        for name in ("s.sock", "endpoint", "pubsub"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(os.path.join(daemon.directory, name))
        daemon.client = daemon.new_client()
        daemon.wait_active("web", 2)
        wait_until(lambda: f"runs as {daemon.keeper}" in daemon.log(), what="a line of the log")
        self.assertEqual(daemon.terminate(), 0)
        self.assertFalse(os.path.exists(daemon.pidfile))

    def test_ItIsDetachedFromTerminalSessionAndCaller(self):
        daemon = self.background()
        lock, held = os.pipe()
        self.assertEqual(daemon.go(pass_fds=[held]).returncode, 0)
        os.close(held)
        self.assertEqual(os.read(lock, 1), b"", "nobody holds what the caller had open")
        os.close(lock)
        daemon.client = daemon.new_client()
        daemon.wait_active("web", 2)
        self.assertEqual(os.getsid(daemon.keeper), daemon.keeper)
        self.assertEqual(os.getpgid(daemon.keeper), daemon.keeper)
        for pid in (daemon.keeper, daemon.arbiter, *daemon.workers()):
            for fd in (0, 1, 2):
                self.assertEqual(os.readlink(f"/proc/{pid}/fd/{fd}"), "/dev/null", (pid, fd))
        # Without a controlling terminal: field 7 of stat, counted behind the name.
        with open(f"/proc/{daemon.keeper}/stat") as stat:
            self.assertEqual(stat.read().rpartition(")")[2].split()[4], "0")

    def test_ItsSignalsAndLogAreThoseOfAForegroundOne(self):
        daemon = self.background()
        self.assertEqual(daemon.go().returncode, 0)
        daemon.client = daemon.new_client()
        old = daemon.wait_active("web", 2)
        os.rename(daemon.log_path, daemon.log_path + ".1")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: not set(daemon.pids("web")) & set(old) and len(daemon.pids("web")) == 2)
        wait_until(lambda: os.path.exists(daemon.log_path), what="the log opened anew")

    def test_HupStartsWhatIsStoppedToo(self):
        daemon = self.background(GOOD + "autostart = false\n")
        self.assertEqual(daemon.go().returncode, 0)
        daemon.client = daemon.new_client()
        self.assertEqual(daemon.status("web"), "stopped")
        daemon.signal(signal.SIGHUP)
        daemon.wait_active("web", 2)

    def test_ItsLogSaysWhatBecameOfTheArbiterBefore(self):
        daemon = self.background(circus='logoutput = "@DIR@/circusd.log"\narbiter_timeout = 1\n')
        self.assertEqual(daemon.go().returncode, 0)
        wait_until(lambda: f"runs as {daemon.keeper}" in daemon.log(), what=daemon.log_tail)
        self.assertNotIn("the arbiter before", daemon.log())
        daemon.kill_arbiter()
        daemon.wait_log("the arbiter before this one was killed by signal 9 (Killed)")
        wait_until(lambda: f"goes on as {daemon.keeper}" in daemon.log(), what=daemon.log_tail)
        os.kill(daemon.arbiter, signal.SIGSTOP)
        daemon.wait_log(re.compile(r"the arbiter before this one hung for \d+ ms and was killed by signal \d"))
        wait_until(lambda: daemon.log().count(f"goes on as {daemon.keeper}") == 2, what=daemon.log_tail)

    def test_AnErrorBelongsToTheCallerAndNothingIsLeft(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for config, what in ((GOOD.replace("numprocesses", "numproceses"), "did you mean"),
                                 (GOOD + f'[socket.s]\nhost = "127.0.0.1"\nport = {port}\n', "Address already in use"),
                                 (GOOD.replace('cmd = "@PROBE@"', ""), "cmd")):
                with self.subTest(what):
                    daemon = self.background(config)
                    run = daemon.go()
                    self.assertEqual(run.returncode, 1, run.stderr)
                    self.assertIn(what, run.stderr)
                    self.assertFalse(os.path.exists(daemon.pidfile))
                    self.assertEqual(daemon.all_reports(), [])

    def test_ASecondOneOnTheSameEndpointIsRefusedAndTheFirstUndisturbed(self):
        first = self.background()
        self.assertEqual(first.go().returncode, 0)
        first.client = first.new_client()
        pids = first.wait_active("web", 2)
        run = subprocess.run([CIRCUSD, "--daemon", "--log-output", os.path.join(first.directory, "other.log"),
                              first.config_path], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"another circusd has it, process {first.keeper}", run.stderr)
        self.assertEqual(first.pids("web"), pids)

    def test_AThirdWithTheSamePidfileIsRefusedToo(self):
        first = self.background()
        self.assertEqual(first.go().returncode, 0)
        third = self.background()
        run = third.go(pidfile=first.pidfile)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"names process {first.keeper}, which is alive", run.stderr)
        with open(first.pidfile) as pidfile:
            self.assertEqual(pidfile.read(), f"{first.keeper}\n")

    def test_WhoLogsToStderrIsWarnedThatItIsLost(self):
        daemon = self.background(circus="")
        run = daemon.go()
        self.assertEqual(run.returncode, 0)
        self.assertIn("--log-output FILE", run.stderr)


class CommandLineTest(ContractCase):
    def call(self, *arguments):
        run = subprocess.run([CIRCUSD, *arguments], capture_output=True, text=True, timeout=20, check=False,
                             env=self.new_daemon(GOOD).environment)
        return run.returncode, run.stdout, run.stderr

    def test_WhatIsWrongIsToldWithTheRemedy(self):
        for words, what in (
                (["x.toml", "--daemon", "--foreground"], "give one of them"),
                (["x.toml", "--daemon", "--check"], "leave out --daemon"),
                (["x.toml", "--foreground", "--check"], "leave out --foreground"),
                ([], "circusd [--config] FILE"),
                (["--deamon", "x.toml"], "no such option: --deamon; did you mean --daemon?"),
                (["--nosuch=3", "x.toml"], "no such option: --nosuch\n"),
                (["x.toml", "y.toml"], "one configuration only"),
                (["--config", "x.toml", "y.toml"], "config"),
                (["x.toml", "--pidfile"], "--pidfile"),
                (["x.toml", "--pidfile", ""], "--pidfile is empty"),
                (["x.toml", "--log-level", "loud"], "debug"),
                (["x.toml", "--log-output", "syslog://h?nosuch"], "there is no facility"),
        ):
            with self.subTest(words):
                code, out, err = self.call(*words)
                self.assertEqual((code, out), (2, ""), err)
                self.assertIn(what, err)
                self.assertIn("See circusd --help.", err)

    def test_HelpAndVersionGoToStdout(self):
        self.assertEqual(self.call("--help")[::2], (0, ""))
        code, out, err = self.call("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^circusd \d+\.\d+")

    def test_ForegroundStaysAndOverridesOfTheFileHold(self):
        daemon = self.new_daemon(GOOD, 'pidfile = "@DIR@/never"\nlogoutput = "@DIR@/never.log"\nloglevel = "error"\n')
        pidfile, log = (os.path.join(daemon.directory, name) for name in ("pid", "log"))
        daemon.launch("--foreground", "--pidfile", pidfile, "--log-output", log, "--log-level", "INFO")
        daemon.client = daemon.new_client()
        daemon.wait_active("web", 2)
        self.assertIsNone(daemon.process.poll())
        with open(pidfile) as file:
            self.assertEqual(file.read(), f"{daemon.keeper}\n")
        self.assertEqual([name for name in os.listdir(daemon.directory) if name.startswith("never")], [])
        wait_until(lambda: "[info] circusd" in pathlib.Path(log).read_text(), what="a line of the log")
        # They go on to hold when the file is read again.
        self.assertEqual(daemon.client.ok("reloadconfig", waiting=True, explain=True)["plan"]["circus"], {})


class PidfileTest(ContractCase):
    def test_APlantedLinkIsReplacedNotFollowed(self):
        daemon = self.new_daemon(GOOD, 'pidfile = "@DIR@/pid"\n')
        victim, path = (os.path.join(daemon.directory, name) for name in ("victim", "pid"))
        with open(victim, "w") as file:
            file.write("precious")
        os.symlink(victim, path)
        daemon.start()
        self.assertFalse(os.path.islink(path))
        with open(path) as file:
            self.assertEqual(file.read(), f"{daemon.keeper}\n")
        self.assertEqual(daemon.terminate(), 0)
        with open(victim) as file:
            self.assertEqual(file.read(), "precious")

    def test_AnotherDaemonsPidfileIsNotRemoved(self):
        daemon = self.run_daemon(GOOD, 'pidfile = "@DIR@/pid"\n')
        path = os.path.join(daemon.directory, "pid")
        with open(path, "w") as file:
            file.write("1\n")
        self.assertEqual(daemon.terminate(), 0)
        with open(path) as file:
            self.assertEqual(file.read(), "1\n")

    def test_WhatCannotBeAPidfileIsAnErrorAndNothingRuns(self):
        for name in ("reports", "nosuch/pid"):
            with self.subTest(name):
                daemon = self.new_daemon(GOOD, f'pidfile = "@DIR@/{name}"\n')
                daemon.launch()
                self.assertEqual(daemon.wait_end(), 1)
                daemon.wait_log("cannot write pidfile")
                self.assertEqual(daemon.all_reports(), [])


class SignalTest(ContractCase):
    def test_EachStopSignalEndsItInOrderAndExitsZero(self):
        for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(signo):
                daemon = self.run_daemon(GOOD)
                pids = daemon.wait_active("web", 2)
                daemon.signal(signo)
                self.assertEqual(daemon.wait_end(), 0)
                self.assertFalse([pid for pid in pids if is_running(pid)])


if __name__ == "__main__":
    main()
