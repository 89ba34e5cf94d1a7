"""circusd before it runs anything: --check, and configurations that are refused."""
import os
import pathlib
import signal
import subprocess
import time

from harness import CIRCUSD, ContractCase, is_running, main, wait_until

GOOD = '[watcher.web]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\nnumprocesses = 3\n'
BAD = '[watcher.web]\ncmd = "@PROBE@"\nnumproceses = 3\nstop_signal = "nosuch"\n'


class CheckTest(ContractCase):
    def check(self, daemon, *more):
        run = subprocess.run([CIRCUSD, "--config", daemon.config_path, "--check", *more], capture_output=True, text=True,
                             cwd=daemon.directory, timeout=20, check=False, env=daemon.environment)
        return run.returncode, run.stdout + run.stderr

    def test_AGoodFileIsSummedUpAndExitsZero(self):
        daemon = self.new_daemon(GOOD)
        code, text = self.check(daemon)
        self.assertEqual(code, 0, text)
        self.assertIn("web", text)
        self.assertEqual((daemon.all_reports(), daemon.leftover_sockets()), ([], []))
        self.assertFalse(os.path.exists(os.path.join(daemon.directory, "endpoint")))

    def test_EveryErrorIsToldWithItsPlaceAndExitsOne(self):
        daemon = self.new_daemon(BAD)
        code, text = self.check(daemon)
        self.assertEqual(code, 1)
        with open(daemon.config_path) as config:
            lines = config.read().splitlines()
        for key in ("numproceses", "stop_signal"):
            number = next(at for at, line in enumerate(lines, 1) if line.startswith(key))
            self.assertRegex(text, rf"stack\.toml:{number}:1: .*{key}")
        self.assertIn('did you mean "numprocesses"?', text)

    def test_ABadFileIsRefusedWithinTwoSecondsAndNothingRuns(self):
        daemon = self.new_daemon(BAD)
        begin = time.monotonic()
        daemon.launch()
        self.assertEqual(daemon.wait_end(), 1)
        self.assertLess(time.monotonic() - begin, 2)
        daemon.wait_log("numproceses")

    def test_AFileThatIsNotThere(self):
        daemon = self.new_daemon("")
        os.unlink(daemon.config_path)
        daemon.launch()
        self.assertEqual(daemon.wait_end(), 1)
        daemon.wait_log("No such file or directory")

    def test_WrongUseOfTheCommandLineIsAnError(self):
        daemon = self.new_daemon(GOOD)
        run = subprocess.run([CIRCUSD, "--config", daemon.config_path, "--nosuchoption"], capture_output=True,
                             text=True, timeout=20, check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("nosuchoption", run.stderr + run.stdout)
        run = subprocess.run([CIRCUSD, "--version"], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(run.returncode, 0)
        self.assertRegex(run.stdout, r"\d+\.\d+")

    def test_TheFileMayBeGivenByPosition(self):
        daemon = self.new_daemon(GOOD)
        run = subprocess.run([CIRCUSD, daemon.config_path, "--check"], capture_output=True, timeout=20, check=False)
        self.assertEqual(run.returncode, 0)


class PidfileTest(ContractCase):
    def test_ItHoldsTheKeepersPidAndGoesAtTheEnd(self):
        daemon = self.run_daemon(GOOD, 'pidfile = "@DIR@/pid"\numask = "077"\n')
        path = os.path.join(daemon.directory, "pid")
        with open(path) as pidfile:
            self.assertEqual(pidfile.read(), f"{daemon.keeper}\n")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        self.assertEqual(daemon.terminate(), 0)
        self.assertFalse(os.path.exists(path))

    def test_ALivePidRefusesADeadOneIsTaken(self):
        daemon = self.new_daemon(GOOD, 'pidfile = "@DIR@/pid"\n')
        path = os.path.join(daemon.directory, "pid")
        with open(path, "w") as pidfile:
            pidfile.write(f"{os.getpid()}\n")
        daemon.launch()
        self.assertEqual(daemon.wait_end(), 1)
        daemon.wait_log(str(os.getpid()))
        with open(path) as pidfile:
            self.assertEqual(pidfile.read(), f"{os.getpid()}\n")
        gone = subprocess.Popen(["/bin/true"])
        gone.wait()
        for text in (f"{gone.pid}\n", "nonsense", ""):
            with self.subTest(text=text):
                with open(path, "w") as pidfile:
                    pidfile.write(text)
                daemon.start()
                self.assertEqual(daemon.terminate(), 0)


class IncludeTest(ContractCase):
    def test_AnIncludedFileAddsAndFillsInButNeverOverrides(self):
        daemon = self.new_daemon('[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 1\n', 'include = "more.toml"\n')
        with open(os.path.join(daemon.directory, "more.toml"), "w") as more:
            more.write('[watcher.web]\nnumprocesses = 9\nmax_retry = 2\n'
                       '[watcher.other]\ncmd = "/bin/sleep 1000"\n')
        daemon.start()
        self.assertEqual(daemon.client.ok("list")["watchers"], ["other", "web"])
        self.assertEqual(daemon.client.ok("get", name="web", keys=["numprocesses", "max_retry"])["options"],
                         {"numprocesses": 1, "max_retry": 2})

    def test_TheFilesOfAFolderAreIncludedByTheirNames(self):
        daemon = self.new_daemon('[watcher.web]\ncmd = "@PROBE@"\n', 'include_dir = "conf.d"\n')
        folder = pathlib.Path(daemon.directory, "conf.d")
        folder.mkdir()
        for name, count in (("b.toml", 3), ("a.toml", 2), ("c.txt", 4)):
            (folder / name).write_text(f'[watcher.{name[0]}]\ncmd = "/bin/sleep 1000"\n'
                                       f'[watcher.shared]\ncmd = "/bin/sleep 1000"\nnumprocesses = {count}\n')
        daemon.start()
        self.assertEqual(daemon.client.ok("list")["watchers"], ["a", "b", "shared", "web"])
        self.assertEqual(len(daemon.wait_active("shared", 2)), 2)  # the first one's word holds
        (folder / "d.toml").write_text('[watcher.d]\ncmd = "/bin/sleep 1000"\n')
        (folder / "b.toml").unlink()
        daemon.client.ok("reloadconfig", waiting=True)
        self.assertEqual(daemon.client.ok("list")["watchers"], ["a", "d", "shared", "web"])


class ForegroundTest(ContractCase):
    def test_ATerminalsInterruptReachesTheDaemonOnlyOnce(self):
        # As by Ctrl-C: the signal goes to the daemon's whole process group.
        daemon = self.run_daemon(GOOD)
        pids = daemon.wait_active("web", 3)
        os.killpg(daemon.keeper, signal.SIGINT)
        self.assertEqual(daemon.wait_end(), 0)
        wait_until(lambda: not any(is_running(pid) for pid in pids))
        self.assertEqual(daemon.log().count("SIGINT"), 1)


if __name__ == "__main__":
    main()
