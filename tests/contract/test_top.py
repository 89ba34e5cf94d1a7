"""circus-top: for scripts, and as a person sees it (on a terminal that tmux shows); also of a Circus in Python, whose
place somebody takes here who answers and publishes as it does (for Circus itself see test_circus_clients.py).
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import zmq

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
stdout_stream.class = "FileStream"
stdout_stream.filename = "@DIR@/talks.log"

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


class PythonCircus:
    """What a Circus in Python and its circusd-stats say: the answers, topics, keys and spellings of Circus 0.18."""

    WATCHERS = {"My Job": [4101, 4102], "web": [4201]}
    CIRCUSD, STATS, FD = 4000, 4001, 9
    ROUND = 0.2  # seconds; circusd-stats has 1

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="circus-python-", dir="/tmp")
        self.endpoint, self.stats_endpoint = (f"ipc://{self.directory}/{name}" for name in ("endpoint", "stats"))
        self.asked = []  # (command, properties)
        self.over = threading.Event()
        self.context = zmq.Context()
        self.router, self.publisher = self.context.socket(zmq.ROUTER), self.context.socket(zmq.PUB)
        self.router.bind(self.endpoint)
        self.publisher.bind(self.stats_endpoint)
        self.threads = [threading.Thread(target=each) for each in (self.answer_all, self.publish_all)]
        for thread in self.threads:
            thread.start()

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        self.context.destroy(0)
        shutil.rmtree(self.directory)

    def answer_all(self):
        while not self.over.is_set():
            if not self.router.poll(50):
                continue
            identity, text = self.router.recv_multipart()
            message = json.loads(text)
            command, properties = message["command"].lower(), message.get("properties", {})
            self.asked.append((command, properties))
            body = {"status": "ok", "time": time.time(), **self.fields(command, properties), "id": message.get("id")}
            self.router.send_multipart([identity, json.dumps(body).encode()])

    def fields(self, command, properties):
        if command == "globaloptions":
            return {"options": {"endpoint": self.endpoint, "stats_endpoint": self.stats_endpoint,
                                "pubsub_endpoint": f"ipc://{self.directory}/pubsub", "check_delay": 5.0,
                                "multicast_endpoint": "udp://237.219.251.97:12027"}}
        if command == "status":
            return {"statuses": {**{name: "active" for name in self.WATCHERS}, "off": "stopped",
                                 "circusd-stats": "active"}}
        if command == "list":
            return {"watchers": sorted(name.lower() for name in self.WATCHERS)}
        if command == "listsockets":
            return {"sockets": [{"fd": self.FD, "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": 8080}]}
        if command == "dstats":
            return {"info": self.process(self.CIRCUSD)}
        if command in ("incr", "decr", "restart", "reload", "kill"):
            return {}
        return {"status": "error", "reason": f"unknown command: {command!r}", "tb": None, "errno": 2}

    @staticmethod
    def process(pid, cpu=1.5):
        return {"pid": pid, "cmdline": "python", "username": "root", "nice": 0, "cpu": cpu, "mem": 0.25,
                "mem_info1": "9.66M", "mem_info2": "31.20M", "ctime": "0:00.12", "create_time": 1700000000.5, "age": 3661.5,
                "children": []}

    def publish_all(self):
        while not self.over.wait(self.ROUND):
            for topic, payload in self.round():
                self.publisher.send_multipart([topic.encode(), json.dumps(payload).encode()])

    def round(self):
        for name, pids in self.WATCHERS.items():
            for pid in pids:
                # One that it may not look at.
                cpu = "N/A" if pid == 4102 else 1.5
                yield f"stat.{name.lower()}.{pid}", {**self.process(pid, cpu), "subtopic": pid, "name": None}
            yield f"stat.{name.lower()}", {"pid": pids, "cpu": 1.5 if len(pids) == 1 else "N/A", "mem": 0.25 * len(pids),
                                           "age": 3661.5}
        for pid, name in ((self.STATS, "circusd-stats"), (self.CIRCUSD, "circusd")):
            yield f"stat.circus.{pid}", {**self.process(pid), "subtopic": pid, "name": name}
        yield "stat.circus", {"pid": [self.STATS, self.CIRCUSD], "cpu": 1.5, "mem": 0.5, "age": 3661.5}
        yield f"stat.sockets.{self.FD}", {"fd": self.FD, "subtopic": self.FD, "reads": 7, "address": "127.0.0.1:8080"}
        yield "stat.sockets", {"addresses": ["127.0.0.1:8080"], "reads": 7}


class PythonTest(TopCase):
    def setUp(self):
        super().setUp()
        self.circus = PythonCircus()
        self.addCleanup(self.circus.close)

    def test_ACircusInPythonIsShownAsFarAsItSays(self):
        found = json.loads(self.top(self.circus, "--once", "--json").stdout)
        watchers = {each["name"]: each for each in found["watchers"]}
        self.assertEqual({name: (each["status"], len(each["processes"])) for name, each in watchers.items()},
                         {"My Job": ("active", 2), "web": ("active", 1), "off": ("stopped", 0),
                          "circusd-stats": ("active", 0)})
        self.assertEqual([each["cpu"] for each in watchers["My Job"]["processes"]], [1.5, None])
        self.assertEqual((watchers["web"]["cpu"], watchers["web"]["mem"], watchers["web"]["age"]), (1.5, 0.25, 3661.5))
        self.assertEqual(found["circusd"]["pid"], PythonCircus.CIRCUSD)
        self.assertEqual(found["sockets"], [{"name": "web", "address": "127.0.0.1:8080", "fd": 9, "reads": 7.0,
                                             "queue": None, "limit": None, "in_flight": None}])
        table = self.top(self.circus, "--once").stdout
        self.assertRegex(table, r"\n  My Job +active +2 +1\.5 +0\.5 ")
        self.assertRegex(table, r"\n +4102 +- +0\.2 +9\.66M +1h1m ")
        self.assertRegex(table, r"\n  web +127\.0\.0\.1:8080 +7 +- +- +- ")


class TmuxCase(TopCase):
    """With a terminal on which circus-top runs."""

    def show(self, endpoint, directory, width=120, height=30, variables=()):
        self.terminal_ = f"{directory}/tmux"
        words = " ".join(variables)
        self.tmux("-f", "/dev/null", "-u", "new-session", "-d", "-x", str(width), "-y", str(height),
                  f"exec env {words} {TOP} --endpoint {endpoint}")

    def tearDown(self):
        self.tmux("kill-server", check=False)
        wait_until(lambda: not os.path.exists(self.terminal_) or not self.tmux("list-sessions", check=False))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.terminal_)
        super().tearDown()

    def tmux(self, *words, check=True):
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        return subprocess.run(["tmux", "-S", self.terminal_, *words], capture_output=True, text=True,
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


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class LivePythonTest(TmuxCase):
    def test_TheTableMovesAndCommandsReachIt(self):
        circus = PythonCircus()
        self.addCleanup(circus.close)
        self.show(circus.endpoint, circus.directory)
        shown = self.wait_screen("4102")
        self.assertIn("My Job", self.wait_screen("My Job"))
        self.assertRegex(self.wait_screen("8080"), r"web +127\.0\.0\.1:8080 +7 +- +- +-")
        self.assertIn("circusd 4000", shown)
        self.select("web")
        self.keys("+")
        wait_until(lambda: ("incr", {"name": "web"}) in circus.asked, what=lambda: circus.asked)
        self.keys("l")
        self.wait_screen("unknown command: 'logs'")


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class LiveTest(TmuxCase):
    def setUp(self):
        super().setUp()
        self.daemon_ = self.stack()
        self.show(self.daemon_.endpoint, self.daemon_.directory)
        self.wait_screen("127.0.0.1:")
        self.wait_screen("talks")

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

    def test_TheOrderTheProcessesAndAReload(self):
        daemon = self.daemon_
        pids = daemon.pids("web")
        for pid in pids:
            self.wait_screen(f" {pid} ")
        for order in ("cpu", "memory", "age", "processes", "name"):
            self.keys("s")
            self.wait_screen(f"s sort: {order} ")
        self.keys("t")
        for pid in pids:
            self.wait_gone(f" {pid} ")
        self.keys("t")
        for pid in pids:
            self.wait_screen(f" {pid} ")
        self.select("web")
        self.keys("R")
        self.wait_screen("reload web, new processes before old ones end?")
        self.keys("n")
        self.wait_gone("reload web")
        self.assertEqual(daemon.pids("web"), pids)
        self.keys("R")
        self.wait_screen("reload web, new processes before old ones end?")
        self.keys("y")
        self.wait_screen("reload of web")
        wait_until(lambda: not set(pids) & set(daemon.wait_active("web", 2)))

    def test_ALogIsFollowedAndLeft(self):
        self.select("talks")
        self.keys("l")
        self.wait_screen("log of talks")
        self.wait_screen("tick 20")
        self.keys("q")
        self.wait_screen("WATCHER")
        self.keys("q")
        wait_until(lambda: "tmux" not in self.tmux("list-sessions", "-F", "tmux", check=False))

    def test_TheKeysAreExplainedAndColoursMayBeOff(self):
        self.keys("h")
        self.wait_screen("follow the log of the watcher")
        self.keys("h")
        self.wait_screen("WATCHER")
        self.assertRegex(self.screen("-e"), "\x1b\\[[0-9;]*3[0-8]")
        self.tmux("kill-server", check=False)
        wait_until(lambda: not self.tmux("list-sessions", check=False))
        self.show(self.daemon_.endpoint, self.daemon_.directory, variables=("NO_COLOR=1",))
        self.wait_screen("talks")
        self.assertNotRegex(self.screen("-e"), "\x1b\\[[0-9;]*[34][0-8]")

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
