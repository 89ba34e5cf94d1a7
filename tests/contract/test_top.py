"""circus-top: for scripts, and as a person sees it (on a terminal that tmux shows)."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import unittest

from harness import BUILD, ContractCase, main, wait_until

TOP = str(BUILD / "bin/circus-top")
STACK = '''
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "@PROBE@"
use_sockets = true
numprocesses = 2

[watcher.talks]
cmd = "n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.05; done"
shell = true
stdout_stream.class = "QueueStream"

[watcher.off]
cmd = "@PROBE@"
autostart = false
'''


class TopCase(ContractCase):
    def stack(self):
        daemon = self.run_daemon(STACK)
        daemon.wait_active("web", 2)
        return daemon

    def top(self, daemon, *arguments):
        return subprocess.run([TOP, "--endpoint", daemon.endpoint, *arguments], capture_output=True, text=True,
                              timeout=60)


class ScriptTest(TopCase):
    def test_OnceAsATableAndAsAnObject(self):
        daemon = self.stack()
        table = self.top(daemon, "--once")
        self.assertEqual((table.returncode, table.stderr), (0, ""))
        self.assertNotIn("\x1b", table.stdout)
        for pid in daemon.pids("web"):
            self.assertRegex(table.stdout, rf"\n +{pid} +[0-9.]+ ")
        self.assertRegex(table.stdout, r"\n  off +stopped +0 +- ")
        found = json.loads(self.top(daemon, "--once", "--json").stdout)
        self.assertEqual([(each["name"], each["status"], len(each["processes"])) for each in found["watchers"]],
                         [("off", "stopped", 0), ("talks", "active", 1), ("web", "active", 2)])
        self.assertEqual(found["circusd"]["pid"], daemon.client.ok("dstats")["info"]["pid"])
        [socket] = found["sockets"]
        self.assertEqual((socket["name"], socket["queue"], socket["limit"]), ("web", 0, 2048))

    def test_AStreamOfObjectsUntilNobodyReadsIt(self):
        daemon = self.stack()
        with subprocess.Popen([TOP, "--endpoint", daemon.endpoint, "--json", "--filter", "WEB"],
                              stdout=subprocess.PIPE, text=True) as process:
            for _ in range(2):
                watchers = json.loads(process.stdout.readline())["watchers"]
                self.assertEqual([each["name"] for each in watchers], ["web"])
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(20), 0)

    def test_WhatIsWrongIsSaid(self):
        daemon = self.stack()
        daemon.client.ok("plugin", name="stats", action="disable", waiting=True)
        silent = self.top(daemon, "--once", "--timeout", "0.5")
        self.assertEqual(silent.returncode, 1)
        self.assertIn("nothing was published at ", silent.stderr)
        self.assertIn("statsd = true", silent.stderr)
        self.assertEqual(self.top(daemon, "--once", "--sort", "size").returncode, 2)
        self.assertEqual(self.top(daemon, "--nonsense").returncode, 2)
        no_terminal = self.top(daemon)
        self.assertEqual(no_terminal.returncode, 2)
        self.assertIn("--once", no_terminal.stderr)
        nobody = subprocess.run([TOP, "--endpoint", f"ipc://{daemon.directory}/nobody", "--once", "--timeout", "0.3"],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("There is no such socket", nobody.stderr)


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class LiveTest(TopCase):
    def setUp(self):
        super().setUp()
        self.daemon_ = self.stack()
        self.tmux("-f", "/dev/null", "-u", "new-session", "-d", "-x", "120", "-y", "30",
                  f"exec {TOP} --endpoint {self.daemon_.endpoint}")
        self.wait_screen("127.0.0.1:")
        self.wait_screen("talks")

    def tearDown(self):
        self.tmux("kill-server", check=False)
        wait_until(lambda: not os.path.exists(f"{self.daemon_.directory}/tmux")
                   or not self.tmux("list-sessions", check=False))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.daemon_.directory}/tmux")
        super().tearDown()

    def tmux(self, *words, check=True):
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        return subprocess.run(["tmux", "-S", f"{self.daemon_.directory}/tmux", *words], capture_output=True, text=True,
                              env=environment, check=check, timeout=30).stdout

    def keys(self, *keys):
        for key in keys:
            self.tmux("send-keys", key)

    def screen(self, *more):
        return self.tmux("capture-pane", "-p", *more)

    def wait_screen(self, text):
        return wait_until(lambda: (shown := self.screen()) and text in shown and shown, what=lambda: self.screen())

    def wait_gone(self, text):
        wait_until(lambda: text not in self.screen(), what=lambda: self.screen())

    def select(self, name):
        """By filter, so that its row is the first."""
        self.keys("/", *name, "Enter", "Home")
        self.wait_screen(f"filter: {name}")

    def test_ItMovesAndCommandsReachTheDaemon(self):
        daemon = self.daemon_
        self.select("web")
        self.wait_gone("talks")
        self.keys("+")
        self.wait_screen("one more of web")
        pids = daemon.wait_active("web", 3)
        for pid in pids:
            self.wait_screen(f" {pid} ")
        self.keys("-")
        daemon.wait_active("web", 2)
        before = daemon.pids("web")
        self.keys("r")
        self.wait_screen("restart web")
        self.keys("n")
        self.wait_gone("restart web")
        self.assertEqual(daemon.pids("web"), before)
        self.keys("r")
        self.wait_screen("restart web")
        self.keys("y")
        wait_until(lambda: not set(before) & set(daemon.wait_active("web", 2)))

    def test_AProcessIsStoppedAfterAQuestion(self):
        daemon = self.daemon_
        self.select("web")
        pids = daemon.pids("web")
        self.wait_screen(f" {pids[0]} ")
        self.keys("Down", "k")
        asked = self.wait_screen("stop process ")
        [pid] = [pid for pid in pids if f"stop process {pid} of web" in asked]
        self.keys("y")
        wait_until(lambda: pid not in daemon.pids("web"))

    def test_ALogIsFollowedAndLeft(self):
        self.select("talks")
        self.keys("l")
        self.wait_screen("log of talks")
        self.wait_screen("tick 20")
        self.keys("q")
        self.wait_screen("WATCHER")
        self.keys("q")
        wait_until(lambda: "tmux" not in self.tmux("list-sessions", "-F", "tmux", check=False))

    def test_AnotherSizeAndADaemonThatGoesAwayAndComesBack(self):
        self.tmux("resize-window", "-x", "60", "-y", "12")
        wait_until(lambda: max(map(len, self.screen().splitlines())) <= 60 and "WATCHER" in self.screen())
        self.tmux("resize-window", "-x", "130", "-y", "30")
        self.wait_screen(f" {self.daemon_.pids('web')[0]} ")
        self.daemon_.terminate()
        self.wait_screen("is circusd away?")
        self.wait_gone("2048")
        self.daemon_.start()
        self.wait_gone("is circusd away?")
        self.wait_screen("talks")


if __name__ == "__main__":
    main()
